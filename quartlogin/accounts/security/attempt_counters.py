"""The table of attempt counters: failed attempts for each account, address and browser."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..database.interface import Database, Transaction
from ..database.models import AttemptCounter

#: Returns the new value of a counter; if it raises, nothing is counted.
Change = Callable[[AttemptCounter], AttemptCounter]


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


def counter_of_user(user_id: str) -> str:
    """Return the name of a user's counter."""
    return f"user:{user_id}"


def counter_of_holders(user_id: str) -> str:
    """Return the name of the counter that all device cookies and logins of a user share."""
    return f"holders:{user_id}"


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
