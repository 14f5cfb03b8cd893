"""The users table of an app that has none: usernames, and nothing else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ..audit.log import Events
from ..database.active_logins import is_active_sql
from ..database.errors import Conflict, NameTaken
from ..database.interface import Database, Row, Transaction
from ..database.locking import lock_account, lock_for
from ..database.models import ActingLogin, Credentials, Event, NewUser, User, UserRow
from ..features.passwords.table import CREDENTIALS, PasswordTable, credentials_of
from ..security.rate_limits import AttemptCounters
from ..table import AccountTable
from .bulk_insert import bulk_insert

#: The columns of a `User`, of a row `u`.
_USER: Final = "u.id, u.username"
#: For a name without an account, the row of the first user is read and not used, so that SQLite reads as many pages of
#: the file: otherwise a known name takes five reads more.
_FIND_CREDENTIALS: Final = (
    f"SELECT u.username_key, {_USER}, {CREDENTIALS} FROM quartlogin_users u"  # noqa: S608 -- constants
    " JOIN quartlogin_accounts a ON a.user_id = u.id LEFT JOIN quartlogin_passwords p ON p.user_id = u.id"
    " WHERE u.username_key = coalesce((SELECT username_key FROM quartlogin_users WHERE username_key = $1),"
    " (SELECT min(username_key) FROM quartlogin_users))"
)
_LIST: Final = (
    "SELECT u.id, u.username, a.disabled_at, u.created_at, max(l.seen_at), count(l.public_id)"  # noqa: S608 -- constants
    " FROM quartlogin_users u JOIN quartlogin_accounts a ON a.user_id = u.id"
    f" LEFT JOIN quartlogin_logins l ON l.user_id = u.id AND {is_active_sql('$1', '$2')}"
    " GROUP BY u.id, u.username, u.username_key, a.disabled_at, u.created_at ORDER BY u.username_key"
)


@dataclass(frozen=True)
class OwnUsers:
    """The users of one database. Every method raises `StoreUnavailable` when the database does not respond."""

    database: Database

    async def find_credentials(self, username_key: str) -> Credentials | None:
        """Find the credentials of a normalized username, even if the account is disabled."""
        rows = await self.database.read(_FIND_CREDENTIALS, username_key)
        if not rows or rows[0][0] != username_key:
            return None
        _, user_id, username, *credentials = rows[0]
        return credentials_of(User(user_id, username), credentials)

    async def by_id(self, user_id: str) -> User | None:
        """Find a user by id."""
        rows = await self.database.read(f"SELECT {_USER} FROM quartlogin_users u WHERE u.id = $1", user_id)  # noqa: S608 -- constants
        return User(*rows[0]) if rows else None

    async def add(self, new: NewUser, event: Event) -> None:
        """Add a user with an account, and store the event: all, or nothing.

        Raises:
            NameTaken: A user has this normalized username.
        """

        async def work(transaction: Transaction) -> None:
            await self.insert(transaction, new, event.happened_at)
            await Events.insert(transaction, event)

        await self.database.transaction(work)

    @staticmethod
    async def insert(transaction: Transaction, new: NewUser, now: int) -> None:
        """Add a user with an account within a larger transaction.

        Raises:
            NameTaken: A user has this normalized username.
        """
        user, until = new.user, new.temporary_until
        try:
            await transaction.run(
                "INSERT INTO quartlogin_users (id, username, username_key, created_at) VALUES ($1, $2, $3, $4)",
                *(user.id, user.username, new.username_key, now),
            )
            await AccountTable.insert(transaction, user.id, now, must_change_password=until is not None)
            await PasswordTable.insert(transaction, user.id, new.password_hash, now, until)
        except Conflict as error:
            raise NameTaken from error

    async def rename(self, user: User, username_key: str, event: Event) -> None:
        """Rename a user, and store the event.

        Args:
            user: The user, with the new name.
            username_key: That name, normalized.
            event: The event.

        Raises:
            NameTaken: Another user has this normalized username.
        """

        async def work(transaction: Transaction) -> None:
            await lock_account(transaction, user.id)
            await transaction.run(
                "UPDATE quartlogin_users SET username = $2, username_key = $3 WHERE id = $1",
                *(user.id, user.username, username_key),
            )
            await Events.insert(transaction, event)

        try:
            await self.database.transaction(work)
        except Conflict as error:
            raise NameTaken from error

    async def delete(self, user_id: str, security_stamp: int, by: ActingLogin | None = None) -> list[str] | None:
        """Delete a user with everything that belongs to it.

        Args:
            user_id: The user.
            security_stamp: Read together with the hash that the password was checked against.
            by: The login that requests it; `None` for the operator.

        Returns:
            The hashes of the ids of the user's logins; `None` if the user is gone, or has another security stamp.

        Raises:
            LoginEnded: The login that requests it is not active.
        """

        async def work(transaction: Transaction) -> list[str] | None:
            await lock_for(transaction, user_id, by)
            logins = await transaction.run("SELECT id_hash FROM quartlogin_logins WHERE user_id = $1", user_id)
            rows = await transaction.run(
                "DELETE FROM quartlogin_accounts WHERE user_id = $1 AND security_stamp = $2 RETURNING user_id",
                *(user_id, security_stamp),
            )
            if not rows:
                return None
            await transaction.run("DELETE FROM quartlogin_users WHERE id = $1", user_id)
            await AttemptCounters.forget_user(transaction, user_id)
            return [row[0] for row in logins]

        return await self.database.transaction(work)

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List all users by name, each with the number of active logins."""
        return [_listed(row) for row in await self.database.read(_LIST, now, idle_since)]

    async def add_many(
        self,
        new_users: Callable[[], Iterable[NewUser]],
        now: int,
        on_progress: Callable[[int], None],
        *,
        skip_taken: bool,
    ) -> list[str]:
        """Add many users in one transaction.

        Args:
            new_users: Returns the users, with no name twice; called again if the database must restart the transaction.
            now: Seconds since 1970.
            on_progress: Called several times with the number of users added.
            skip_taken: Skip users whose names are taken.

        Returns:
            The normalized usernames that were skipped.

        Raises:
            NamesTaken: Some names are taken, and `skip_taken` is false; nothing was added.
        """
        return await bulk_insert(self.database, new_users, now, on_progress, skip_taken=skip_taken)


def _listed(row: Row) -> UserRow:
    user_id, username, disabled_at, created_at, seen_at, logins = row
    return UserRow(user_id, username, disabled_at is None, created_at, seen_at or None, logins)
