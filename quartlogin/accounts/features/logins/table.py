"""The table of logins: one method for each question, with its SQL."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final

from quartlogin import BatchLoader

from ...audit.events import Events
from ...database.active_logins import counts, that_count
from ...database.errors import Conflict
from ...database.interface import Database, Transaction
from ...database.locking import lock_for, lock_owner, lock_users, of_different_users
from ...database.models import (
    NEVER,
    ActingLogin,
    ActiveLogin,
    Event,
    Kind,
    LoginRow,
    Moment,
    NewLogin,
    RememberedLogin,
    Seen,
)
from .active_login import MOST_QUESTIONS, Question, find_all

#: One statement, so that a login can only begin in the security stamp that was read with what it was checked against.
_INSERT: Final = (
    "INSERT INTO logins (id_hash, ref, user_id, kind, epoch, name, secrets,"
    " made_at, seen_at, expires_at, address, browser)"
    " SELECT $1, $2, u.id, $4, u.epoch, $6, $7, CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), $11, $12"
    " FROM users u WHERE u.id = $3 AND u.epoch = $5 AND u.is_active RETURNING ref"
)
_COUNT: Final = that_count("l.user_id = $1 AND l.kind = $2", "$3", "$4")
_RENEW: Final = (
    "UPDATE logins SET id_hash = $2, secrets = $3, seen_at = $4, expires_at = $5"  # noqa: S608 -- a constant
    f" WHERE id_hash IN ({that_count('l.id_hash = $1 AND l.user_id = $6', '$7', '$8')}) RETURNING ref"
)
_END_ALL_BUT: Final = (
    "DELETE FROM logins WHERE user_id = $1 AND (kind = 'session' AND id_hash <> $2"  # noqa: S608 -- a constant
    f" OR id_hash NOT IN ({that_count('l.user_id = $1', '$3', '$4')})) RETURNING id_hash"
)
_END_IDLEST: Final = (
    "DELETE FROM logins WHERE id_hash IN"
    " (SELECT id_hash FROM logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2"
    " ORDER BY seen_at DESC, made_at DESC, ref LIMIT 1000000 OFFSET $3)"
    " RETURNING id_hash, ref, kind, name, made_at, seen_at, expires_at, address, browser"
)
_COUNTING_SESSIONS: Final = that_count("l.user_id = $1 AND l.kind = 'session'", "$2", "$3")
_REMEMBERED: Final = (
    "SELECT l.ref, l.user_id, l.secrets, l.resumed_at FROM logins l JOIN users u ON u.id = l.user_id"  # noqa: S608 -- a constant
    f" WHERE l.id_hash = $1 AND {counts('$2', '$3')}"
)
_REPLACE_SECRETS: Final = (
    "UPDATE logins SET secrets = $3, resumed_at = coalesce($6, resumed_at) WHERE secrets = $2"  # noqa: S608 -- a constant
    f" AND id_hash IN ({that_count('l.id_hash = $1', '$4', '$5')}) RETURNING ref"
)
_LIST: Final = (
    "SELECT l.id_hash, l.ref, l.kind, l.name, l.made_at, l.seen_at, l.expires_at, l.address, l.browser"  # noqa: S608 -- a constant
    f" FROM logins l JOIN users u ON u.id = l.user_id WHERE l.user_id = $1 AND {counts('$2', '$3')}"
    " ORDER BY l.seen_at DESC, l.made_at DESC, l.ref"
)
_TOUCH: Final = (
    "UPDATE logins SET seen_at = $2 WHERE seen_at <= $3"  # noqa: S608 -- a constant
    f" AND id_hash IN ({that_count('l.id_hash = $1', '$4', '$5')})"
)
#: Whose logins are ended together when everybody's are.
_MANY_USERS: Final = 500


@dataclass(frozen=True)
class Logins:
    """The logins of one database. Every method raises `StoreUnavailable` when the database does not answer.

    A login is named by the hash of its id, or by its public id. Times are seconds since 1970.
    """

    database: Database

    @cached_property
    def _finding(self) -> BatchLoader[Question, ActiveLogin]:
        concurrency = self.database.reads_at_once
        return BatchLoader(partial(find_all, self.database), concurrency=concurrency, max_size=MOST_QUESTIONS)

    async def find(self, id_hash: str, user_id: str, now: int, idle_since: int) -> ActiveLogin | None:
        """Find a user by a login that counts: one statement, one trip to the database, for all who ask meanwhile.

        Args:
            id_hash: The hash of the login's id.
            user_id: Whose login it has to be.
            now: A login that expires before counts no more.
            idle_since: A sign-in that was not seen since counts no more.
        """
        return await self._finding.load(Question(id_hash, user_id, now, idle_since))

    @staticmethod
    async def insert(transaction: Transaction, login: NewLogin) -> None:
        """Add a login, if its user is active and still in the security stamp that was read with the password or the login.

        The user's row is locked, or was made in this transaction.

        Raises:
            Conflict: The user is not, or there is none.
        """
        rows = await transaction.run(
            _INSERT,
            *(
                login.id_hash,
                login.public_id,
                login.user_id,
                login.kind,
                login.security_stamp,
                login.name,
                login.secrets,
            ),
            *(login.made_at, login.made_at if login.kind == "session" else NEVER),
            *(login.expires_at, login.address, login.browser),
        )
        if not rows:
            raise Conflict("The account is disabled, deleted, or in another epoch.")

    @staticmethod
    async def count(transaction: Transaction, user_id: str, kind: Kind, at: Moment) -> int:
        """Count a user's logins of a kind. The user's row is locked, so that nobody adds one meanwhile."""
        return len(await transaction.run(_COUNT, user_id, kind, *at))

    @staticmethod
    async def renew(transaction: Transaction, old_hash: str, login: NewLogin, at: Moment) -> str | None:
        """Let a login go on under another id, with another secret and until later; the old ones are worth nothing.

        The user's row is locked.

        Returns:
            Its public id; `None` if it does not count.
        """
        rows = await transaction.run(
            _RENEW,
            *(old_hash, login.id_hash, login.secrets, login.made_at, login.expires_at, login.user_id, *at),
        )
        return str(rows[0][0]) if rows else None

    @staticmethod
    async def revoke_others(transaction: Transaction, user_id: str, id_hash: str, at: Moment) -> list[str]:
        """End a user's sign-ins but one, and remove what does not count anyway. The user's row is locked.

        Returns:
            The hashes of the ids of those that ended.
        """
        return [row[0] for row in await transaction.run(_END_ALL_BUT, user_id, id_hash, *at)]

    @staticmethod
    async def carry_over(transaction: Transaction, user_id: str, old_stamp: int, new_stamp: int) -> None:
        """Take a user's logins along into a new security stamp: those of the old one, and no earlier one's."""
        await transaction.run(
            "UPDATE logins SET epoch = $3 WHERE user_id = $1 AND epoch = $2", user_id, old_stamp, new_stamp
        )

    @staticmethod
    async def evict_oldest(transaction: Transaction, new: NewLogin, at_most: int) -> list[LoginRow]:
        """End those of a user's sign-ins that were not used for longest, until there are so many with a new one.

        The user's row is locked.

        Returns:
            What they were.
        """
        rows = await transaction.run(_END_IDLEST, new.user_id, new.id_hash, at_most - 1)
        return [LoginRow(*row) for row in rows]

    async def end(self, id_hash: str, event: Event) -> Event | None:
        """End a login.

        Args:
            id_hash: The hash of the login's id.
            event: What is to be told, but for the user and the login, which are found here.

        Returns:
            What is to be told; `None` if the login is unknown or has ended already.
        """

        async def work(transaction: Transaction) -> Event | None:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run("DELETE FROM logins WHERE id_hash = $1 RETURNING user_id, ref", id_hash)
            if not rows:
                return None
            user_id, public_id = rows[0]
            told = replace(event, user_id=user_id, subject=public_id)
            await Events.insert(transaction, told)
            return told

        return await self.database.transaction(work)

    async def revoke_reused(self, id_hash: str, event: Event) -> bool:
        """End a login of which a copy was used, and keep that for the user's next sign-in; False if it has ended."""

        async def work(transaction: Transaction) -> bool:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run("DELETE FROM logins WHERE id_hash = $1 RETURNING id_hash", id_hash)
            if rows:
                await transaction.run("UPDATE users SET copied_at = $2 WHERE id = $1", event.user_id, event.happened_at)
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def end_by_public_id(
        self, user_id: str, public_id: str, kind: Kind, event: Event, by: ActingLogin | None = None
    ) -> LoginRow | None:
        """End one of this user's logins by its public id.

        Args:
            user_id: Whose it has to be.
            public_id: Its public id.
            kind: What it has to be.
            event: What is to be told, but for what it is about, which is found here.
            by: The login that asks for it; `None` for the operator.

        Returns:
            What it was; `None` if the user has none of this public id.

        Raises:
            LoginEnded: The login that asks does not count.
        """

        async def work(transaction: Transaction) -> LoginRow | None:
            await lock_for(transaction, user_id, by)
            rows = await transaction.run(
                "DELETE FROM logins WHERE user_id = $1 AND ref = $2 AND kind = $3"
                " RETURNING id_hash, ref, kind, name, made_at, seen_at, expires_at, address, browser",
                *(user_id, public_id, kind),
            )
            if not rows:
                return None
            ended = LoginRow(*rows[0])
            await Events.insert(transaction, replace(event, subject=ended.subject))
            return ended

        return await self.database.transaction(work)

    async def end_sessions(
        self, user_id: str, event: Event, at: Moment, by: ActingLogin | None = None
    ) -> dict[str, bool]:
        """End a user's sign-ins, but for the one that asks for it; API tokens go on.

        Args:
            user_id: Whose.
            event: What is told if any of them counted still.
            at: When they count or not.
            by: The login that asks for it; `None` for the operator.

        Returns:
            The hashes of the ids of those that ended, each with whether it counted still.

        Raises:
            LoginEnded: The login that asks does not count.
        """

        async def work(transaction: Transaction) -> dict[str, bool]:
            await lock_for(transaction, user_id, by)
            counting = {row[0] for row in await transaction.run(_COUNTING_SESSIONS, user_id, *at)}
            rows = await transaction.run(
                "DELETE FROM logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2 RETURNING id_hash",
                *(user_id, "" if by is None else by.id_hash),
            )
            ended = {row[0]: row[0] in counting for row in rows}
            if any(ended.values()):
                await Events.insert(transaction, event)
            return ended

        return await self.database.transaction(work)

    async def revoke_all(self) -> int:
        """End every sign-in and every token of everybody; returns how many there were.

        A statement over the whole table would not see what a login makes while it is being ended. So each user's row is
        locked before, some users at a time, so that nobody waits for long.
        """
        count, last = 0, ""
        while True:
            rows = await self.database.read(
                "SELECT DISTINCT user_id FROM logins WHERE user_id > $1 ORDER BY user_id LIMIT $2", last, _MANY_USERS
            )
            if not rows:
                return count
            first, last = rows[0][0], rows[-1][0]
            count += await self.database.transaction(partial(_end_of_users, first, last))

    async def user_of_public_id(self, public_id: str, kind: Kind) -> tuple[str, str] | None:
        """Return the id and the name of the user whose login has this public id."""
        rows = await self.database.read(
            "SELECT u.id, u.username FROM logins l JOIN users u ON u.id = l.user_id WHERE l.ref = $1 AND l.kind = $2",
            *(public_id, kind),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def find_remembered(self, id_hash: str, at: Moment) -> RememberedLogin | None:
        """Find a login that a remember cookie names; `None` if it does not count."""
        rows = await self.database.read(_REMEMBERED, id_hash, *at)
        return RememberedLogin(*rows[0]) if rows else None

    async def replace_secrets(self, id_hash: str, old: str, new: str, at: Moment, event: Event | None = None) -> bool:
        """Replace what is kept of a remember cookie's secrets; False if another request was quicker, or it has ended.

        Args:
            id_hash: The hash of the login's id.
            old: What it has to be still.
            new: What it is from now on.
            at: When the login must count.
            event: That the login was resumed, if that is to be written down.
        """

        async def work(transaction: Transaction) -> bool:
            if event is not None:
                await lock_owner(transaction, id_hash)
            resumed_at = None if event is None else event.happened_at
            rows = await transaction.run(_REPLACE_SECRETS, id_hash, old, new, *at, resumed_at)
            if rows and event is not None:
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def list_of(self, user_id: str, at: Moment) -> list[LoginRow]:
        """List a user's logins that count, the one that was used last first."""
        rows = await self.database.read(_LIST, user_id, *at)
        return [LoginRow(*row) for row in rows]

    async def touch(self, seen: Collection[Seen], resolution: int, at: Moment) -> None:
        """Keep when logins were seen last, but for those whose time another process has kept meanwhile.

        Args:
            seen: Which, and when.
            resolution: How many seconds later that has to be than what is kept.
            at: The present: one that no longer counts now, whenever it was seen, is not prolonged.
        """
        for together in of_different_users(seen):
            rows: Sequence[Sequence[Any]] = [
                (login.id_hash, login.at, login.at - resolution, *at) for login in together
            ]

            async def work(transaction: Transaction, rows: Sequence[Sequence[Any]] = rows) -> None:
                await transaction.run_many(_TOUCH, rows)

            await self.database.transaction(work)

    async def remove_expired(self, now: int, at_most: int) -> int:
        """Remove some logins that have expired; returns how many."""
        rows = await self.database.write(
            "DELETE FROM logins WHERE ref IN"
            " (SELECT ref FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING ref",
            *(now, at_most),
        )
        return len(rows)


async def _end_of_users(first: str, last: str, transaction: Transaction) -> int:
    """End every login of the users whose ids lie between these two."""
    await lock_users(transaction, first, last)
    return len(
        await transaction.run("DELETE FROM logins WHERE user_id >= $1 AND user_id <= $2 RETURNING ref", first, last)
    )
