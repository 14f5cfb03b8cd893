"""The passwords table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Any, Final

from quartlogin import tracing

from ...audit.log import Events
from ...audit.login_steps import tell_ended
from ...database.active_logins import is_active_sql
from ...database.errors import Conflict
from ...database.interface import Database, Row, Transaction
from ...database.models import Account, ActingLogin, Credentials, Event, Moment
from ...security.rate_limits import AttemptCounters
from ...table import COLUMNS, account_of, end_logins

#: The columns of `Credentials` beside the user's, of a row `a` of accounts and a row `p` of passwords.
CREDENTIALS: Final = f"{COLUMNS}, p.password_hash, p.expires_at, p.changed_at"
_OF_LOGIN: Final = (
    f"SELECT {CREDENTIALS} FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"  # noqa: S608 -- constants
    " LEFT JOIN quartlogin_passwords p ON p.user_id = a.user_id"
    f" WHERE l.id_hash = $1 AND l.user_id = $2 AND {is_active_sql('$3', '$4')}"
)
_OF_USER: Final = (
    f"SELECT {CREDENTIALS} FROM quartlogin_accounts a"  # noqa: S608 -- constants
    " LEFT JOIN quartlogin_passwords p ON p.user_id = a.user_id WHERE a.user_id = $1"
)

_BASE64: Final = ascii_letters + digits + "+/="


def credentials_of(user: Any, row: Row) -> Credentials:
    """Return a user's credentials from a row of `CREDENTIALS`."""
    *account, password_hash, expires_at, changed_at = row
    return Credentials(user, account_of(account), password_hash, expires_at, has_had_password=changed_at is not None)


@dataclass(frozen=True)
class PasswordTable:
    """The password hashes of one database. Every method raises `StoreUnavailable` when it does not respond."""

    database: Database

    async def find(self, user: Any, user_id: str) -> Credentials | None:
        """Find a user's credentials, even if the account is disabled; `None` without an account."""
        rows = await self.database.read(_OF_USER, user_id)
        return credentials_of(user, rows[0]) if rows else None

    async def find_of(self, user: Any, by: ActingLogin) -> Credentials | None:
        """Find a signed-in user's credentials; `None` if that login is not active."""
        rows = await self.database.read(_OF_LOGIN, by.id_hash, by.user_id, *Moment.present(by.idle))
        return credentials_of(user, rows[0]) if rows else None

    @staticmethod
    async def insert(
        transaction: Transaction, user_id: str, password_hash: str, now: int, expires_at: int | None = None
    ) -> None:
        """Add the password of a new account.

        Args:
            transaction: The transaction.
            user_id: The user.
            password_hash: argon2's PHC string.
            now: Seconds since 1970.
            expires_at: Seconds since 1970; `None`: never.
        """
        await transaction.run(
            "INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at, expires_at) VALUES ($1, $2, $3, $4)",
            *(user_id, password_hash, now, expires_at),
        )

    @staticmethod
    async def adopt(transaction: Transaction, account: Account, password_hash: str, now: int) -> None:
        """Add the password of an account that never had one, unless another request was faster."""
        await transaction.run(
            "INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at)"
            " SELECT user_id, $3, CAST($4 AS BIGINT) FROM quartlogin_accounts"
            " WHERE user_id = $1 AND security_stamp = $2 ON CONFLICT (user_id) DO NOTHING",
            *(account.user_id, account.security_stamp, password_hash, now),
        )

    @staticmethod
    async def replace(transaction: Transaction, user_id: str, password_hash: str) -> None:
        """Replace the password hash of a new account, within the transaction that adds it."""
        await transaction.run(
            "UPDATE quartlogin_passwords SET password_hash = $2 WHERE user_id = $1", user_id, password_hash
        )

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless the password has been changed meanwhile."""
        await self.database.write(
            "UPDATE quartlogin_passwords SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2",
            *(user_id, old, new),
        )

    @staticmethod
    async def change(transaction: Transaction, user_id: str, security_stamp: int, new: str, now: int) -> int | None:
        """Replace the password hash and the security stamp; every login with the old stamp ends.

        The security stamp tells whether the password is still the one that was checked. Its hash does not: rehashing
        changes it, too.

        Args:
            transaction: The transaction.
            user_id: The user.
            security_stamp: Read together with the hash that the current password was checked against.
            new: argon2's PHC string.
            now: Seconds since 1970.

        Returns:
            The new security stamp; `None` if the account is disabled, or has another security stamp already.
        """
        rows = await transaction.run(
            "UPDATE quartlogin_accounts SET security_stamp = security_stamp + 1, must_change_password = FALSE"
            " WHERE user_id = $1 AND security_stamp = $2 AND disabled_at IS NULL RETURNING security_stamp",
            *(user_id, security_stamp),
        )
        if not rows:
            return None
        await _put(transaction, user_id, new, now, None)
        await AttemptCounters.forget_user(transaction, user_id)
        return int(rows[0][0])

    async def set(
        self,
        user_id: str,
        password_hash: str,
        event: Event,
        temporary_until: int | None = None,
        *,
        before: Callable[[Transaction], Awaitable[None]] | None = None,
    ) -> bool:
        """Set a user's password, and end every login and API token; return False if there is no such account.

        Args:
            user_id: The user.
            password_hash: argon2's PHC string.
            event: The event to store.
            temporary_until: When this temporary password, valid for one sign-in, expires: seconds since 1970. `None`:
                it is not temporary.
            before: Called first in the transaction, such as to add a missing account.
        """
        ended: list[str] = []

        async def work(transaction: Transaction) -> bool:
            if before is not None:
                await before(transaction)
            rows = await transaction.run(
                "UPDATE quartlogin_accounts SET security_stamp = security_stamp + 1, must_change_password = $2"
                " WHERE user_id = $1 RETURNING user_id",
                *(user_id, temporary_until is not None),
            )
            if not rows:
                return False
            await _put(transaction, user_id, password_hash, event.happened_at, temporary_until)
            ended[:] = await end_logins(transaction, user_id)
            await AttemptCounters.forget_user(transaction, user_id)
            await Events.insert(transaction, event)
            return True

        is_set = await self.database.transaction(work)
        if tracing.listeners:
            tell_ended(ended, "password set by the operator")
        return is_set

    @staticmethod
    async def make_temporary(transaction: Transaction, user_id: str, until: int) -> None:
        """Make the password of a new account temporary.

        Args:
            transaction: The transaction that adds the account.
            user_id: The user.
            until: When it expires: seconds since 1970.
        """
        await transaction.run("UPDATE quartlogin_accounts SET must_change_password = TRUE WHERE user_id = $1", user_id)
        await transaction.run("UPDATE quartlogin_passwords SET expires_at = $2 WHERE user_id = $1", user_id, until)

    @staticmethod
    async def use_up_temporary(transaction: Transaction, user_id: str, now: int) -> None:
        """Use up a temporary password, so that no one signs in with it again; leave any other password as it is.

        Raises:
            Conflict: It is used up or expired already.
        """
        rows = await transaction.run(
            "UPDATE quartlogin_passwords SET expires_at = CASE WHEN expires_at > $2 THEN $2 END"
            " WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2) RETURNING user_id",
            *(user_id, now),
        )
        if not rows:
            raise Conflict("This temporary password is used up.")

    async def list_hash_prefixes(self, after: str, at_most: int) -> tuple[list[str], str | None]:
        """List the parts of password hashes before the salt, for some users at a time.

        Args:
            after: The user id after which to start, as the last call returned it; empty at first.
            at_most: The number of users.

        Returns:
            One part for each user, and the last of their ids; `None` if there are no more users.
        """
        rows = await self.database.read(
            "SELECT user_id, CASE WHEN password_hash LIKE '_2_$__$%' THEN substr(password_hash, 1, 6)"  # bcrypt's
            " ELSE substr(rtrim(rtrim(rtrim(coalesce(password_hash, ''), $3), '$'), $3), 1, 64) END"
            " FROM quartlogin_passwords WHERE user_id > $1 ORDER BY user_id LIMIT $2",
            *(after, at_most, _BASE64),
        )
        return [row[1] for row in rows], rows[-1][0] if rows else None


async def _put(transaction: Transaction, user_id: str, password_hash: str, now: int, expires_at: int | None) -> None:
    """Set the password of an account, whose row is locked."""
    await transaction.run(
        "INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at, expires_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash,"
        " changed_at = excluded.changed_at, expires_at = excluded.expires_at",
        *(user_id, password_hash, now, expires_at),
    )
