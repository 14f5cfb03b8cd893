"""The logins table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from quartlogin import tracing

from ...audit.log import Events
from ...audit.login_steps import tell_ended
from ...database.active_logins import is_active_sql, select_active
from ...database.errors import Conflict
from ...database.interface import Database, Transaction
from ...database.locking import lock_accounts, lock_for, lock_owner, of_different_users
from ...database.models import (
    NEVER,
    ActingLogin,
    Event,
    Kind,
    LoginRow,
    Moment,
    NewLogin,
    RememberedLogin,
    Seen,
)

#: One statement, so that a login can only begin with the security stamp that was read with its credentials.
_INSERT: Final = (
    "INSERT INTO quartlogin_logins (id_hash, public_id, user_id, kind, security_stamp, name, secrets,"
    " made_at, seen_at, expires_at, address, browser, proofs)"
    " SELECT $1, $2, a.user_id, $4, a.security_stamp, $6, $7,"
    " CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), $11, $12, $13 FROM quartlogin_accounts a"
    " WHERE a.user_id = $3 AND a.security_stamp = coalesce(CAST($5 AS BIGINT), a.security_stamp)"
    " AND a.disabled_at IS NULL AND a.deleting_at IS NULL RETURNING public_id"
)
_COUNT: Final = select_active("l.user_id = $1 AND l.kind = $2", "$3", "$4")
_RENEW: Final = (
    "UPDATE quartlogin_logins SET id_hash = $2, secrets = $3, seen_at = $4, expires_at = $5, proofs = $9"  # noqa: S608 -- a constant
    f" WHERE id_hash IN ({select_active('l.id_hash = $1 AND l.user_id = $6', '$7', '$8')}) RETURNING public_id"
)
_END_OTHERS: Final = (
    "DELETE FROM quartlogin_logins WHERE user_id = $1 AND (kind = 'session' AND id_hash <> $2"  # noqa: S608 -- a constant
    f" OR id_hash NOT IN ({select_active('l.user_id = $1', '$3', '$4')})) RETURNING id_hash"
)
_EVICT_OLDEST: Final = (
    "DELETE FROM quartlogin_logins WHERE id_hash IN"
    " (SELECT id_hash FROM quartlogin_logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2"
    " ORDER BY seen_at DESC, made_at DESC, public_id LIMIT 1000000 OFFSET $3)"
    " RETURNING id_hash, public_id, kind, name, made_at, seen_at, expires_at, address, browser"
)
_ACTIVE_SESSIONS: Final = select_active("l.user_id = $1 AND l.kind = 'session'", "$2", "$3")
_REMEMBERED: Final = (
    "SELECT l.public_id, l.user_id, l.secrets, l.resumed_at FROM quartlogin_logins l"  # noqa: S608 -- a constant
    " JOIN quartlogin_accounts a ON a.user_id = l.user_id"
    f" WHERE l.id_hash = $1 AND {is_active_sql('$2', '$3')}"
)
_REPLACE_SECRETS: Final = (
    "UPDATE quartlogin_logins SET secrets = $3, resumed_at = coalesce($6, resumed_at),"  # noqa: S608 -- a constant
    " proofs = coalesce($7, proofs) WHERE secrets = $2"
    f" AND id_hash IN ({select_active('l.id_hash = $1', '$4', '$5')}) RETURNING public_id"
)
_LIST: Final = (
    "SELECT l.id_hash, l.public_id, l.kind, l.name, l.made_at, l.seen_at, l.expires_at, l.address, l.browser"  # noqa: S608 -- a constant
    f" FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"
    f" WHERE l.user_id = $1 AND {is_active_sql('$2', '$3')}"
    " ORDER BY l.seen_at DESC, l.made_at DESC, l.public_id"
)
_TOUCH: Final = (
    "UPDATE quartlogin_logins SET seen_at = $2 WHERE seen_at <= $3"  # noqa: S608 -- a constant
    f" AND id_hash IN ({select_active('l.id_hash = $1', '$4', '$5')})"
)
#: Users whose logins are ended in one transaction when all logins are.
_MANY_USERS: Final = 500


@dataclass(frozen=True)
class Logins:
    """The logins of one database. Every method raises `StoreUnavailable` when the database does not respond.

    A login is identified by the hash of its id, or by its public id. Times are seconds since 1970.
    """

    database: Database

    @staticmethod
    async def insert(transaction: Transaction, login: NewLogin) -> None:
        """Add a login, if its user is active and has the security stamp that was read with the credentials.

        The user's row is locked, or was inserted in this transaction.

        Raises:
            Conflict: The user is not active, has another security stamp, or does not exist.
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
            *(login.expires_at, login.address, login.browser, login.proofs),
        )
        if not rows:
            raise Conflict("The account is disabled, deleted, or has another security stamp.")

    @staticmethod
    async def count(transaction: Transaction, user_id: str, kind: Kind, at: Moment) -> int:
        """Count a user's active logins of a kind. The user's row is locked, so that none is added meanwhile."""
        return len(await transaction.run(_COUNT, user_id, kind, *at))

    @staticmethod
    async def renew(transaction: Transaction, old_hash: str, login: NewLogin, at: Moment) -> str | None:
        """Continue a login under another id, with another secret, expiry and proofs; the old ones become worthless.

        The user's row is locked.

        Returns:
            Its public id; `None` if it is not active.
        """
        rows = await transaction.run(
            _RENEW,
            *(old_hash, login.id_hash, login.secrets, login.made_at, login.expires_at, login.user_id, *at),
            login.proofs,
        )
        return str(rows[0][0]) if rows else None

    @staticmethod
    async def revoke_others(transaction: Transaction, user_id: str, id_hash: str, at: Moment) -> list[str]:
        """End a user's sign-ins except one, and remove inactive logins. The user's row is locked.

        Returns:
            The hashes of the ids of the logins that ended.
        """
        return [row[0] for row in await transaction.run(_END_OTHERS, user_id, id_hash, *at)]

    @staticmethod
    async def carry_over(transaction: Transaction, user_id: str, old_stamp: int, new_stamp: int) -> None:
        """Move a user's logins to a new security stamp: those of the old one, and no earlier ones."""
        await transaction.run(
            "UPDATE quartlogin_logins SET security_stamp = $3 WHERE user_id = $1 AND security_stamp = $2",
            user_id,
            old_stamp,
            new_stamp,
        )

    @staticmethod
    async def evict_oldest(transaction: Transaction, new: NewLogin, at_most: int) -> list[LoginRow]:
        """End the least recently used sign-ins of a user until `at_most` remain, including a new one.

        The user's row is locked.

        Returns:
            The logins that ended.
        """
        rows = await transaction.run(_EVICT_OLDEST, new.user_id, new.id_hash, at_most - 1)
        return [LoginRow(*row) for row in rows]

    async def end(self, id_hash: str, event: Event) -> Event | None:
        """End a login.

        Args:
            id_hash: The hash of the login's id.
            event: The event to store, without the user and the login, which are found here.

        Returns:
            The stored event; `None` if the login is unknown or has ended already.
        """

        async def work(transaction: Transaction) -> Event | None:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run(
                "DELETE FROM quartlogin_logins WHERE id_hash = $1 RETURNING user_id, public_id", id_hash
            )
            if not rows:
                return None
            user_id, public_id = rows[0]
            stored = replace(event, user_id=user_id, subject=public_id)
            await Events.insert(transaction, stored)
            return stored

        return await self.database.transaction(work)

    async def revoke_reused(self, id_hash: str, event: Event) -> bool:
        """End a login whose token was reused, and note that for the user's next sign-in; False if it had ended."""

        async def work(transaction: Transaction) -> bool:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run("DELETE FROM quartlogin_logins WHERE id_hash = $1 RETURNING id_hash", id_hash)
            if rows:
                await transaction.run(
                    "UPDATE quartlogin_accounts SET token_reuse_at = $2 WHERE user_id = $1",
                    event.user_id,
                    event.happened_at,
                )
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def end_by_public_id(
        self, user_id: str, public_id: str, kind: Kind, event: Event, by: ActingLogin | None = None
    ) -> LoginRow | None:
        """End one of a user's logins by its public id.

        Args:
            user_id: The user whose login it must be.
            public_id: Its public id.
            kind: The kind of login it must be.
            event: The event to store, without its subject, which is found here.
            by: The login that requests it; `None` for the operator.

        Returns:
            The login; `None` if the user has none with this public id.

        Raises:
            LoginEnded: The login that requests it is not active.
        """

        async def work(transaction: Transaction) -> LoginRow | None:
            await lock_for(transaction, user_id, by)
            rows = await transaction.run(
                "DELETE FROM quartlogin_logins WHERE user_id = $1 AND public_id = $2 AND kind = $3"
                " RETURNING id_hash, public_id, kind, name, made_at, seen_at, expires_at, address, browser",
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
        """End a user's sign-ins, except the one that requests it, also those that wait for a step.

        API tokens stay valid.

        Args:
            user_id: The user.
            event: The event to store if any of them was still active.
            at: The current time.
            by: The login that requests it; `None` for the operator.

        Returns:
            The hashes of the ids of the logins that ended, each with whether it was still active.

        Raises:
            LoginEnded: The login that requests it is not active.
        """

        async def work(transaction: Transaction) -> dict[str, bool]:
            await lock_for(transaction, user_id, by)
            await transaction.run("DELETE FROM quartlogin_pending_sign_ins WHERE user_id = $1", user_id)
            active = {row[0] for row in await transaction.run(_ACTIVE_SESSIONS, user_id, *at)}
            rows = await transaction.run(
                "DELETE FROM quartlogin_logins WHERE user_id = $1 AND kind = 'session'"
                " AND id_hash <> $2 RETURNING id_hash",
                *(user_id, "" if by is None else by.id_hash),
            )
            ended = {row[0]: row[0] in active for row in rows}
            if any(ended.values()):
                await Events.insert(transaction, event)
            return ended

        return await self.database.transaction(work)

    async def revoke_all(self) -> int:
        """End every sign-in and API token of every user, and return their number.

        A statement over the whole table would miss what a login creates while it is being ended. So each user's row is
        locked first, for some users at a time, so that no one waits for long.
        """
        await self.database.write("DELETE FROM quartlogin_pending_sign_ins")
        count, last = 0, ""
        while True:
            rows = await self.database.read(
                "SELECT DISTINCT user_id FROM quartlogin_logins WHERE user_id > $1 ORDER BY user_id LIMIT $2",
                last,
                _MANY_USERS,
            )
            if not rows:
                return count
            first, last = rows[0][0], rows[-1][0]
            count += await self.database.transaction(partial(_end_of_users, first, last))

    async def user_of_public_id(self, public_id: str, kind: Kind) -> str | None:
        """Return the id of the user whose login has this public id."""
        rows = await self.database.read(
            "SELECT user_id FROM quartlogin_logins WHERE public_id = $1 AND kind = $2", public_id, kind
        )
        return rows[0][0] if rows else None

    async def find_remembered(self, id_hash: str, at: Moment) -> RememberedLogin | None:
        """Find a login that a remember cookie names; `None` if it is not active."""
        rows = await self.database.read(_REMEMBERED, id_hash, *at)
        return RememberedLogin(*rows[0]) if rows else None

    async def replace_secrets(
        self,
        id_hash: str,
        old: str,
        new: str,
        at: Moment,
        *,
        event: Event | None = None,
        proofs: str | None = None,
    ) -> bool:
        """Replace the state of a login's remember-me tokens; False if another request was faster, or it has ended.

        Args:
            id_hash: The hash of the login's id.
            old: The state that it must still have.
            new: The new state.
            at: The time at which the login must be active.
            event: The event that the login was resumed, if it is to be stored.
            proofs: What is proved in it from now on; `None` leaves that as it is.
        """

        async def work(transaction: Transaction) -> bool:
            if event is not None:
                await lock_owner(transaction, id_hash)
            resumed_at = None if event is None else event.happened_at
            rows = await transaction.run(_REPLACE_SECRETS, id_hash, old, new, *at, resumed_at, proofs)
            if rows and event is not None:
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def list_of(self, user_id: str, at: Moment) -> list[LoginRow]:
        """List a user's active logins, most recently used first."""
        rows = await self.database.read(_LIST, user_id, *at)
        return [LoginRow(*row) for row in rows]

    async def touch(self, seen: Collection[Seen], resolution: int, at: Moment) -> None:
        """Store last-seen times, except where another process has stored one meanwhile.

        Args:
            seen: The logins and times.
            resolution: Seconds that a time must be later than the stored one.
            at: The current time: a login that is no longer active is not extended, whenever it was seen.
        """
        for together in of_different_users(seen):
            rows: Sequence[Sequence[Any]] = [
                (login.id_hash, login.at, login.at - resolution, *at) for login in together
            ]

            async def work(transaction: Transaction, rows: Sequence[Sequence[Any]] = rows) -> None:
                await transaction.run_many(_TOUCH, rows)

            await self.database.transaction(work)

    async def remove_expired(self, now: int, at_most: int) -> int:
        """Remove some expired logins, and return their number."""
        rows = await self.database.write(
            "DELETE FROM quartlogin_logins WHERE public_id IN"
            " (SELECT public_id FROM quartlogin_logins WHERE expires_at <= $1 ORDER BY expires_at"
            " LIMIT $2) RETURNING id_hash",
            *(now, at_most),
        )
        if tracing.listeners:
            tell_ended((row[0] for row in rows), "expired")
        return len(rows)


async def _end_of_users(first: str, last: str, transaction: Transaction) -> int:
    """End every login of the users whose ids lie between these two."""
    await lock_accounts(transaction, first, last)
    return len(
        await transaction.run(
            "DELETE FROM quartlogin_logins WHERE user_id >= $1 AND user_id <= $2 RETURNING public_id", first, last
        )
    )
