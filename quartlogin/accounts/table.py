"""The accounts table: the row that every change of an account locks."""

from dataclasses import dataclass
from typing import Final

from .audit.events import Events
from .database.interface import Database, Row, Transaction
from .database.models import Account, Event

#: The columns of an `Account`, of a row `a`.
COLUMNS: Final = "a.user_id, a.security_stamp, a.disabled_at, a.must_change_password"


def account_of(row: Row) -> Account:
    """Return the account of a row of `COLUMNS`."""
    user_id, security_stamp, disabled_at, must_change = row
    return Account(user_id, security_stamp, disabled_at is None, bool(must_change))


@dataclass(frozen=True)
class AccountTable:
    """The accounts of one database. Every method raises `StoreUnavailable` when the database does not respond."""

    database: Database

    @staticmethod
    async def insert(transaction: Transaction, user_id: str, now: int, *, must_change_password: bool = False) -> None:
        """Add an account.

        Raises:
            Conflict: This user has one.
        """
        await transaction.run(
            "INSERT INTO quartlogin_accounts (user_id, created_at, must_change_password) VALUES ($1, $2, $3)",
            *(user_id, now, must_change_password),
        )

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
            ends_logins=True,
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

    async def _change(self, statement: str, event: Event, *values: object, ends_logins: bool = False) -> bool:
        async def work(transaction: Transaction) -> bool:
            rows = await transaction.run(statement, *values)
            if not rows:
                return False
            if ends_logins:
                await end_logins(transaction, rows[0][0])
            await Events.insert(transaction, event)
            return True

        return await self.database.transaction(work)


async def end_logins(transaction: Transaction, user_id: str) -> None:
    """End every login and API token of an account, whose row is locked."""
    await transaction.run("DELETE FROM quartlogin_logins WHERE user_id = $1", user_id)
