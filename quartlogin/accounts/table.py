"""The accounts table: the row that every change of an account locks."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from quartlogin import tracing

from .audit.log import Events
from .audit.login_steps import tell_ended
from .database.active_logins import is_active_sql
from .database.interface import Database, Row, Transaction
from .database.locking import lock_account, lock_for
from .database.models import Account, ActingLogin, Event, UserRow
from .security.rate_limits import AttemptCounters

#: The columns of an `Account`, of a row `a`.
COLUMNS: Final = "a.user_id, a.security_stamp, a.disabled_at, a.must_change_password, a.deleting_at, a.stamp"
_LIST: Final = (
    "SELECT a.user_id, a.disabled_at, a.created_at, max(l.seen_at), count(l.public_id) FROM quartlogin_accounts a"  # noqa: S608 -- constants
    f" LEFT JOIN quartlogin_logins l ON l.user_id = a.user_id AND {is_active_sql('$1', '$2')}"
    " GROUP BY a.user_id, a.disabled_at, a.created_at"
)


def account_of(row: Row) -> Account:
    """Return the account of a row of `COLUMNS`."""
    user_id, security_stamp, disabled_at, must_change, deleting_at, stamp = row
    is_enabled = disabled_at is None and deleting_at is None
    return Account(user_id, security_stamp, is_enabled, bool(must_change), stamp, deleting_at)


@dataclass(frozen=True)
class AccountTable:
    """The accounts of one database. Every method raises `StoreUnavailable` when the database does not respond."""

    database: Database

    @staticmethod
    async def insert(
        transaction: Transaction,
        user_id: str,
        now: int,
        *,
        must_change_password: bool = False,
        stamp: str | None = None,
    ) -> None:
        """Add an account.

        Raises:
            Conflict: This user has one.
        """
        await transaction.run(
            "INSERT INTO quartlogin_accounts (user_id, stamp, created_at, must_change_password)"
            " VALUES ($1, $2, $3, $4)",
            *(user_id, stamp, now, must_change_password),
        )

    @staticmethod
    async def ensure(transaction: Transaction, user_id: str, now: int, stamp: str | None = None) -> None:
        """Add an account without a password, unless there is one."""
        await transaction.run(
            "INSERT INTO quartlogin_accounts (user_id, created_at, stamp) VALUES ($1, $2, $3)"
            " ON CONFLICT (user_id) DO NOTHING",
            *(user_id, now, stamp),
        )

    @staticmethod
    async def restrict(transaction: Transaction, user_id: str, disabled_at: int | None, *, must_change: bool) -> None:
        """Restrict a new account.

        Args:
            transaction: The transaction that adds the account.
            user_id: The user.
            disabled_at: Seconds since 1970; `None`: it is enabled.
            must_change: Whether the user must change the password first.
        """
        await transaction.run(
            "UPDATE quartlogin_accounts SET disabled_at = $2, must_change_password = $3 WHERE user_id = $1",
            *(user_id, disabled_at, must_change),
        )

    @staticmethod
    async def purge(transaction: Transaction, user_id: str) -> bool:
        """Remove everything that is kept under a user's id; return False if there is nothing."""
        await AttemptCounters.forget_user(transaction, user_id)
        rows = await transaction.run("DELETE FROM quartlogin_accounts WHERE user_id = $1 RETURNING user_id", user_id)
        return bool(rows)

    @staticmethod
    async def purge_deleting(transaction: Transaction, user_id: str) -> None:
        """Remove an account that is being deleted; leave any other, such as that of a later user with the id."""
        rows = await transaction.run(
            "DELETE FROM quartlogin_accounts WHERE user_id = $1 AND deleting_at IS NOT NULL RETURNING user_id", user_id
        )
        if rows:
            await AttemptCounters.forget_user(transaction, user_id)

    async def complete_deletion(self, user_id: str) -> None:
        """Remove an account that is being deleted, as `purge_deleting` does."""

        async def work(transaction: Transaction) -> None:
            await self.purge_deleting(transaction, user_id)

        await self.database.transaction(work)

    async def forget_former(self, user_id: str, stamp: str) -> None:
        """Remove what is kept about a former user with an id, unless it is kept about another one by now."""

        async def work(transaction: Transaction) -> None:
            rows = await transaction.run(
                "DELETE FROM quartlogin_accounts WHERE user_id = $1 AND stamp = $2 RETURNING user_id", user_id, stamp
            )
            if rows:
                await AttemptCounters.forget_user(transaction, user_id)

        await self.database.transaction(work)

    async def forget(self, user_id: str) -> bool:
        """Remove everything that is kept under a user's id; return False if there is nothing."""
        return await self.database.transaction(partial(self._forget, user_id))

    async def keep_stamp(self, user_id: str, stamp: str) -> None:
        """Keep the stamp of a user who had none."""
        await self.database.write(
            "UPDATE quartlogin_accounts SET stamp = $2 WHERE user_id = $1 AND stamp IS NULL", user_id, stamp
        )

    async def end_all(self, user_id: str) -> list[str]:
        """End every login and API token of an account, and return the hashes of their ids."""

        async def work(transaction: Transaction) -> list[str]:
            await transaction.run(
                "UPDATE quartlogin_accounts SET security_stamp = security_stamp + 1 WHERE user_id = $1", user_id
            )
            return await end_logins(transaction, user_id)

        return await self.database.transaction(work)

    async def begin_deletion(self, account: Account, by: ActingLogin, now: int) -> list[str] | None:
        """Mark an account as being deleted: none of its logins is active from then on.

        Args:
            account: Read together with the hash that the password was checked against.
            by: The login that requests it. It becomes active again if the deletion is taken back.
            now: Seconds since 1970.

        Returns:
            The hashes of the ids of the other logins, which have ended; `None` if the account is gone, is being deleted
            already, or has another security stamp.

        Raises:
            LoginEnded: The login that requests it is not active.
        """

        async def work(transaction: Transaction) -> list[str] | None:
            await lock_for(transaction, account.user_id, by)
            rows = await transaction.run(
                "UPDATE quartlogin_accounts SET deleting_at = $3, security_stamp = security_stamp + 1"
                " WHERE user_id = $1 AND security_stamp = $2 AND deleting_at IS NULL RETURNING security_stamp",
                *(account.user_id, account.security_stamp, now),
            )
            if not rows:
                return None
            ended = await transaction.run(
                "DELETE FROM quartlogin_logins WHERE user_id = $1 AND id_hash <> $2 RETURNING id_hash",
                *(account.user_id, by.id_hash),
            )
            await transaction.run(
                "UPDATE quartlogin_logins SET security_stamp = $2 WHERE id_hash = $1", by.id_hash, *rows[0]
            )
            return [row[0] for row in ended]

        return await self.database.transaction(work)

    async def take_back_deletion(self, user_id: str) -> None:
        """Mark an account as one that is not being deleted."""
        await self.database.write("UPDATE quartlogin_accounts SET deleting_at = NULL WHERE user_id = $1", user_id)

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List all accounts, each with the number of active logins; the names are the app's."""
        return [
            UserRow(user_id, "", disabled_at is None, created_at, seen_at or None, logins)
            for user_id, disabled_at, created_at, seen_at, logins in await self.database.read(_LIST, now, idle_since)
        ]

    async def list_deleting(self, before: int, at_most: int) -> list[str]:
        """List some users whose deletion began before a time and is not complete."""
        rows = await self.database.read(
            "SELECT user_id FROM quartlogin_accounts WHERE deleting_at < $1 ORDER BY deleting_at LIMIT $2",
            *(before, at_most),
        )
        return [row[0] for row in rows]

    async def require_change(self, user_id: str, event: Event) -> bool:
        """Require a user to change the password first; return False if there is no such account."""
        return await self._change(
            "UPDATE quartlogin_accounts SET must_change_password = TRUE WHERE user_id = $1 RETURNING user_id",
            event,
            user_id,
        )

    async def set_enabled(self, user_id: str, event: Event, *, enabled: bool) -> bool:
        """Enable an account, or disable it, and end every login and API token; return False if there is none.

        Logins end also when it is enabled: none may become active again.
        """
        return await self._change(
            "UPDATE quartlogin_accounts SET disabled_at = $2, security_stamp = security_stamp + 1 WHERE user_id = $1"
            " RETURNING user_id",
            event,
            *(user_id, None if enabled else event.happened_at),
            ends_logins="account enabled" if enabled else "account disabled",
        )

    async def take_token_reuse_at(self, user_id: str) -> int | None:
        """Return, once, when remember-me token reuse was detected: seconds since 1970, `None` if it was not."""
        rows = await self.database.read(
            "SELECT token_reuse_at FROM quartlogin_accounts WHERE user_id = $1 AND token_reuse_at IS NOT NULL", user_id
        )
        if not rows:
            return None
        taken = await self.database.write(
            "UPDATE quartlogin_accounts SET token_reuse_at = NULL WHERE user_id = $1 AND token_reuse_at = $2"
            " RETURNING user_id",
            *(user_id, rows[0][0]),
        )
        return int(rows[0][0]) if taken else None

    async def _change(self, statement: str, event: Event, *values: object, ends_logins: str = "") -> bool:
        ended: list[str] = []

        async def work(transaction: Transaction) -> bool:
            rows = await transaction.run(statement, *values)
            if not rows:
                return False
            if ends_logins:
                ended[:] = await end_logins(transaction, rows[0][0])
            await Events.insert(transaction, event)
            return True

        is_changed = await self.database.transaction(work)
        if tracing.listeners:
            tell_ended(ended, ends_logins)
        return is_changed

    @staticmethod
    async def _forget(user_id: str, transaction: Transaction) -> bool:
        await lock_account(transaction, user_id)
        return await AccountTable.purge(transaction, user_id)


async def end_logins(transaction: Transaction, user_id: str) -> list[str]:
    """End every login and API token of an account, whose row is locked; return the hashes of their ids."""
    rows = await transaction.run("DELETE FROM quartlogin_logins WHERE user_id = $1 RETURNING id_hash", user_id)
    return [row[0] for row in rows]
