"""Rate limiting: growing delays for each account, and a limit for each address.

Every attempt is counted in the database before its password is checked: however many come at once, in however many
processes, no more get through. An attempt that succeeds is uncounted.

- An account has a counter of failures in a row. The first half of the limit is free, then the delays double, so that
  there are no more than the limit within 15 minutes; no delay is longer than a day. After 100 in a row (NIST SP
  800-63B-4, 3.2.2) no password is checked for strangers until the password is changed.
- A browser that has signed in to the account before, as its device cookie shows, has a separate counter, and so has
  each login: a stranger who keeps an account's counter full cannot lock out its owner. All device cookies and logins of
  an account together have 100 failures in a row as well, so that they allow no more guesses.
- An address, of IPv6 its first 56 bits, has the limit within any 15 minutes; a client that reaches it waits as long,
  and twice as long the next time. A success does not reset it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from ..audit.log import AuditLog
from ..database.interface import Database, Transaction
from ..database.models import AttemptCounter

#: Seconds within which there are no more failures than the limits.
WINDOW: Final = 15 * 60
#: Seconds of the longest delay.
MAX_DELAY: Final = 24 * 60 * 60
#: Failures in a row after which no password is checked (NIST SP 800-63B-4, 3.2.2).
MAX_FAILURES: Final = 100

#: Returns the new value of a counter; if it raises, nothing is counted.
Change = Callable[[AttemptCounter], AttemptCounter]
#: Returns a counter with an attempt at a time; it raises `TooManyAttempts` if that is too early.
_Count = Callable[[AttemptCounter, int], AttemptCounter]

#: The IPv6 prefix of a household: /56 (RIPE-690, 4.2), 256 networks to guess from. Some providers assign a /64, so that
#: up to 256 of their customers share a counter, as many share an IPv4 address.
_NETWORK: Final = 56
#: Networks whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215), stateless translation (RFC 7915) and
#: IPv4-compatible addresses (RFC 4291, 2.5.5.1). One customer has them all.
_WITH_IPV4_AT_THE_END: Final = [
    IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")
]
_LAST_32_BITS: Final = 2**32 - 1
_NO_ADDRESS: Final = 2**16  # below, `::1` is not an IPv4 address
_MAX_DOUBLINGS: Final = 20


class TooManyAttempts(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """Too many attempts have failed; this one was not checked.

    Args:
        wait: Seconds until the next attempt is allowed, at most a day.
    """

    def __init__(self, wait: int) -> None:
        super().__init__(f"wait {wait} seconds")
        self.wait = wait


@dataclass(frozen=True)
class AttemptCounters:
    """The attempt counters of one database. Every method raises `StoreUnavailable` when it does not respond.

    A counter has a name such as `user:` and an id; the caller knows what it counts.
    """

    database: Database

    async def change(self, changes: Mapping[str, Change], *, forget: Collection[str] = ()) -> None:
        """Change several counters together, one request at a time: two cannot both be the last that is allowed.

        Args:
            changes: The change of each counter. If one raises, this raises the same error, and nothing is changed.
            forget: Counters to reset.
        """

        async def work(transaction: Transaction) -> None:
            for name in sorted({*changes, *forget}):  # in a fixed order, to prevent deadlocks
                if name in forget:
                    await _forget(transaction, name)
                else:
                    await _write(transaction, name, changes[name](await _lock(transaction, name)))

        await self.database.transaction(work)

    @staticmethod
    async def forget_user(transaction: Transaction, user_id: str) -> None:
        """Reset a user's counters, when the password is changed or the user deleted."""
        for name in (counter_of_holders(user_id), counter_of_user(user_id)):  # in the order of `change`
            await _forget(transaction, name)

    async def remove_before(self, short_lived: int, others: int, at_most: int) -> int:
        """Remove some counters that have not changed since a time, except those of users; return how many.

        Args:
            short_lived: Seconds since 1970, for those of addresses, device cookies and logins.
            others: Seconds since 1970, for those of unknown usernames.
            at_most: How many.
        """
        rows = await self.database.write(
            "DELETE FROM quartlogin_attempt_counters WHERE name IN (SELECT name"
            " FROM quartlogin_attempt_counters WHERE last_at < $1"
            " AND (last_at < $2 OR name NOT LIKE 'name:%') AND name NOT LIKE 'user:%' AND name NOT LIKE 'holders:%'"
            " ORDER BY last_at LIMIT $3) RETURNING name",
            *(short_lived, others, at_most),
        )
        return len(rows)

    async def remove_of_ended_logins(self, at_most: int) -> int:
        """Remove some counters of logins that no longer exist; return how many."""
        rows = await self.database.write(
            "DELETE FROM quartlogin_attempt_counters WHERE name IN (SELECT name"
            " FROM quartlogin_attempt_counters WHERE name LIKE 'login:%' AND NOT EXISTS"
            " (SELECT 1 FROM quartlogin_logins"
            " WHERE quartlogin_logins.public_id = substr(quartlogin_attempt_counters.name, 7))"
            " LIMIT $1) RETURNING name",
            at_most,
        )
        return len(rows)


@dataclass(frozen=True)
class DelayPolicy:
    """The arithmetic of delays: what an attempt does to a counter, or that it must wait."""

    #: Failures allowed within `WINDOW`.
    limit: int

    def after_failure_of_account(self, counter: AttemptCounter, now: int) -> AttemptCounter:
        """Count one more failure in a row.

        Raises:
            TooManyAttempts: It is too early.
        """
        if counter.number >= MAX_FAILURES:
            raise TooManyAttempts(MAX_DELAY)
        if counter.times:
            _wait_until(counter.times[-1] + self.delay_after(counter.number), now)
        return AttemptCounter(counter.number + 1, (now,))

    def delay_after(self, failures: int) -> int:
        """Return the seconds after so many failures in a row in which no attempt is checked."""
        free = self.limit // 2
        if failures < free:
            return 0
        # The delays after the last free failure up to the last of the limit fill the window.
        first = -(-WINDOW // ((2 << self.limit - free) - 1))
        return min(first << min(failures - free, _MAX_DOUBLINGS), MAX_DELAY)

    @staticmethod
    def after_failure_of_holders(counter: AttemptCounter, now: int) -> AttemptCounter:
        """Count one more failure in a row of all device cookies and logins of an account together.

        Raises:
            TooManyAttempts: They have failed too often.
        """
        if counter.number >= MAX_FAILURES:
            raise TooManyAttempts(MAX_DELAY)
        return AttemptCounter(counter.number + 1, (now,))

    def after_failure_of_address(self, counter: AttemptCounter, now: int) -> AttemptCounter:
        """Count one more failure; `number` of such a counter is how often the limit was reached.

        Raises:
            TooManyAttempts: It is too early.
        """
        if len(counter.times) < self.limit:
            return AttemptCounter(counter.number, (*(time for time in counter.times if time > now - WINDOW), now))
        last = counter.times[-1]
        _wait_until(last + min(WINDOW << min(counter.number, _MAX_DOUBLINGS), MAX_DELAY), now)
        return AttemptCounter(0 if now - last > 2 * MAX_DELAY else counter.number + 1, (now,))


def without(counter: AttemptCounter, time: int) -> AttemptCounter:
    """Remove an attempt at a time from a counter."""
    if time not in counter.times:
        return counter
    index = counter.times.index(time)
    return replace(counter, times=counter.times[:index] + counter.times[index + 1 :])


@dataclass(frozen=True)
class Attempt:
    """An attempt that is counted as a failure until it succeeds."""

    at: int
    #: Each counter's value before and after it was counted.
    counted: dict[str, tuple[AttemptCounter, AttemptCounter]]
    #: The counters to reset if it succeeds.
    cleared: tuple[str, ...]


class RateLimits:
    """Counts attempts in the database, and logs those that it rejects.

    A rejected attempt is not stored as an event: a client that keeps trying would fill the database.

    Args:
        attempts: Where attempts are counted.
        audit_log: Where rejected attempts are logged.
        per_account: Failures allowed for an account within 15 minutes.
        per_address: Failures allowed from an address within 15 minutes.
    """

    def __init__(self, attempts: AttemptCounters, audit_log: AuditLog, per_account: int, per_address: int) -> None:
        self._attempts = attempts
        self._audit_log = audit_log
        self._account_policy: _Count = DelayPolicy(per_account).after_failure_of_account
        self._address_policy: _Count = DelayPolicy(per_address).after_failure_of_address

    async def count_sign_in(self, user_id: str | None, name_hash: str, device: str | None, address: str) -> Attempt:
        """Count an attempt to sign in.

        Args:
            user_id: The account's user; `None` for an unknown username.
            name_hash: Stands for the username that was entered, in the counter of an unknown one and in the log.
            device: The id of the browser, if its device cookie shows that it has signed in to this account before.
            address: The client's address.

        Raises:
            TooManyAttempts: It is too early; nothing was counted.
        """
        by_address = {_counter_of_address(address): self._address_policy}
        with self._logging_rejections(name_hash=name_hash):
            if user_id is None:
                return await self._count({f"name:{name_hash}": self._account_policy, **by_address})
            return await self._count_of_account(user_id, device, by_address)

    async def count_step(self, user_id: str, device: str | None, address: str) -> Attempt:
        """Count an attempt at a step after the password; the arguments are those of `count_sign_in`.

        Raises:
            TooManyAttempts: It is too early; nothing was counted.
        """
        with self._logging_rejections():
            by_address = {_counter_of_address(address): self._address_policy}
            return await self._count_of_account(user_id, device, by_address)

    async def count_reauthentication(self, user_id: str, login_public_id: str) -> Attempt:
        """Count an attempt of a signed-in user to confirm the password.

        Raises:
            TooManyAttempts: It is too early; nothing was counted.
        """
        with self._logging_rejections():
            return await self._count_of_holder(f"login:{login_public_id}", counter_of_holders(user_id))

    async def count_registration(self, address: str) -> Attempt:
        """Count an attempt to create an account; one that succeeds stays counted.

        Raises:
            TooManyAttempts: It is too early; nothing was counted.
        """
        with self._logging_rejections():
            return await self._count({f"address:registering:{network_of(address)}": self._address_policy})

    async def succeeded(self, attempt: Attempt) -> None:
        """Uncount an attempt that succeeded: the account's failures in a row end; the address keeps its others."""
        others = attempt.counted.keys() - set(attempt.cleared)
        changes: dict[str, Change] = dict.fromkeys(others, lambda counter: without(counter, attempt.at))
        await self._attempts.change(changes, forget=attempt.cleared)

    async def keep_counted(self, attempt: Attempt) -> None:
        """Uncount an attempt that is right so far, but for the account: only the last step of a sign-in ends a row.

        The step need not wait, or strangers who have failed before could make it wait longer than the sign-in does.
        """
        own = attempt.counted.keys() & set(attempt.cleared)
        others = attempt.counted.keys() - own
        changes: dict[str, Change] = dict.fromkeys(others, lambda counter: without(counter, attempt.at))
        changes |= dict.fromkeys(own, lambda counter: replace(counter, times=(attempt.at - MAX_DELAY,)))
        await self._attempts.change(changes)

    async def refund(self, attempt: Attempt) -> None:
        """Uncount an attempt whose outcome is unknown; the account's other failures in a row stay counted."""
        await self._attempts.change({name: partial(_undone, *counters) for name, counters in attempt.counted.items()})

    async def _count_of_account(self, user_id: str, device: str | None, by_address: Mapping[str, _Count]) -> Attempt:
        account, holders = counter_of_user(user_id), counter_of_holders(user_id)
        if device is None:
            return await self._count({account: self._account_policy, **by_address}, cleared=(account, holders))
        return await self._count_of_holder(f"browser:{device}:{account}", holders)

    async def _count_of_holder(self, own: str, holders: str) -> Attempt:
        """Count an attempt of the holder of a device cookie or a login."""
        return await self._count(
            {own: self._account_policy, holders: DelayPolicy.after_failure_of_holders}, cleared=(own, holders)
        )

    async def _count(self, policies: Mapping[str, _Count], cleared: tuple[str, ...] = ()) -> Attempt:
        attempt = Attempt(int(time.time()), {}, cleared)

        def counting(name: str, count: _Count) -> Change:
            def change(counter: AttemptCounter) -> AttemptCounter:
                attempt.counted[name] = counter, count(counter, attempt.at)
                return attempt.counted[name][1]

            return change

        await self._attempts.change({name: counting(name, count) for name, count in policies.items()})
        return attempt

    @contextmanager
    def _logging_rejections(self, **details: str) -> Iterator[None]:
        try:
            yield
        except TooManyAttempts:
            self._audit_log.emit(self._audit_log.event("rate_limited"), **details)
            raise


def counter_of_user(user_id: str) -> str:
    """Return the name of a user's counter."""
    return f"user:{user_id}"


def counter_of_holders(user_id: str) -> str:
    """Return the name of the counter that all device cookies and logins of a user share."""
    return f"holders:{user_id}"


def _undone(before: AttemptCounter, after: AttemptCounter, now: AttemptCounter) -> AttemptCounter:
    """Return a counter without the attempt that changed `before` to `after`; others may have been counted since."""
    if now == after:
        return before
    if after.number > before.number:
        return replace(now, number=max(0, now.number - 1))
    return without(now, after.times[-1])


def _counter_of_address(address: str) -> str:
    return f"address:{network_of(address)}"


def network_of(address: str) -> str:
    """Return the part that all addresses of one customer share, in one spelling.

    Args:
        address: IPv4, IPv6 or IPv4 in IPv6; anything else, such as `<local>`, is returned unchanged.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    inside = _ipv4_inside(found)
    return str(IPv6Network((found, _NETWORK), strict=False)) if inside is None else str(inside)


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address contains, if any."""
    known = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    last = int(address) & _LAST_32_BITS
    if known is None and last >= _NO_ADDRESS and any(address in network for network in _WITH_IPV4_AT_THE_END):
        return IPv4Address(last)
    return known


def _wait_until(free_at: int, now: int) -> None:
    if now < free_at:
        raise TooManyAttempts(min(free_at - now, MAX_DELAY))


async def _lock(transaction: Transaction, name: str) -> AttemptCounter:
    """Read a counter and lock it until the transaction ends."""
    [(number, times)] = await transaction.run(
        "INSERT INTO quartlogin_attempt_counters (name, number, times, last_at) VALUES ($1, 0, '', 0)"
        " ON CONFLICT (name) DO UPDATE SET number = quartlogin_attempt_counters.number RETURNING number, times",
        name,
    )
    return AttemptCounter(number, tuple(int(time) for time in times.split()))


async def _write(transaction: Transaction, name: str, counter: AttemptCounter) -> None:
    if counter == AttemptCounter():
        await _forget(transaction, name)
        return
    await transaction.run(
        "UPDATE quartlogin_attempt_counters SET number = $2, times = $3, last_at = $4 WHERE name = $1",
        *(name, counter.number, " ".join(map(str, counter.times)), max(counter.times, default=0)),
    )


async def _forget(transaction: Transaction, name: str) -> None:
    await transaction.run("DELETE FROM quartlogin_attempt_counters WHERE name = $1", name)
