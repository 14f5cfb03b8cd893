"""The users table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Any, Final

from .audit.events import Events
from .bulk_insert import bulk_insert
from .database.active_logins import is_active_sql
from .database.errors import Conflict, UsernameTaken
from .database.interface import Database, Transaction
from .database.locking import lock_for
from .database.models import ActingLogin, Credentials, Event, Moment, NewUser, User, UserRow
from .security.attempt_counters import AttemptCounters

_CREDENTIALS_OF: Final = (
    "SELECT u.id, u.username, u.epoch, u.must_change_password, u.password_hash, u.is_active, u.password_expires_at"  # noqa: S608 -- a constant
    " FROM logins l JOIN users u ON u.id = l.user_id"
    f" WHERE l.id_hash = $1 AND l.user_id = $2 AND {is_active_sql('$3', '$4')}"
)

_BASE64: Final = ascii_letters + digits + "+/"


@dataclass(frozen=True)
class Users:
    """The users of one database. Every method raises `StoreUnavailable` when the database does not respond."""

    database: Database

    async def find_credentials(self, username_key: str) -> Credentials | None:
        """Find the credentials of a normalized username, even if the user is disabled."""
        rows = await self.database.read(
            "SELECT id, username, epoch, must_change_password, password_hash, is_active, password_expires_at"
            " FROM users WHERE username_key = $1",
            username_key,
        )
        return _credentials(rows[0]) if rows else None

    async def find_credentials_of(self, by: ActingLogin) -> Credentials | None:
        """Find the credentials of a signed-in user; `None` if that login is not active."""
        rows = await self.database.read(_CREDENTIALS_OF, by.id_hash, by.user_id, *Moment.present(by.idle))
        return _credentials(rows[0]) if rows else None

    async def add(self, new: NewUser, event: Event) -> None:
        """Add a user and store the event: both, or neither.

        Raises:
            UsernameTaken: A user has this normalized username.
        """

        async def work(transaction: Transaction) -> None:
            await self.insert(transaction, new, event.happened_at)
            await Events.insert(transaction, event)

        await self.database.transaction(work)

    @staticmethod
    async def insert(transaction: Transaction, new: NewUser, now: int) -> None:
        """Add a user within a larger transaction.

        Raises:
            UsernameTaken: A user has this normalized username.
        """
        try:
            await transaction.run(
                "INSERT INTO users (id, username, username_key, password_hash, created_at, password_changed_at,"
                " must_change_password, password_expires_at) VALUES ($1, $2, $3, $4, $5, $5, $6, $7)",
                *(new.user.id, new.user.username, new.username_key, new.password_hash, now),
                *(new.temporary_until is not None, new.temporary_until),
            )
        except Conflict as error:
            raise UsernameTaken from error

    async def replace_password_hash(self, user_id: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless the password has been changed meanwhile."""
        await self.database.write(
            "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", user_id, old, new
        )

    @staticmethod
    async def change_password(
        transaction: Transaction, user_id: str, security_stamp: int, new: str, now: int
    ) -> int | None:
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
            The new security stamp; `None` if the user is disabled, or has another security stamp already.
        """
        rows = await transaction.run(
            "UPDATE users SET password_hash = $3, password_changed_at = $4, epoch = epoch + 1,"
            " must_change_password = FALSE, password_expires_at = NULL"
            " WHERE id = $1 AND epoch = $2 AND is_active RETURNING epoch",
            *(user_id, security_stamp, new, now),
        )
        if not rows:
            return None
        await AttemptCounters.forget_user(transaction, user_id)
        return int(rows[0][0])

    async def set_password(
        self, user_id: str, password_hash: str, event: Event, temporary_until: int | None = None
    ) -> bool:
        """Set a user's password, and end every login and API token; return False if the user is gone.

        Args:
            user_id: The user.
            password_hash: argon2's PHC string.
            event: The event to store.
            temporary_until: When this temporary password, valid for one sign-in, expires: seconds since 1970. `None`:
                it is not temporary.
        """

        async def work(transaction: Transaction) -> bool:
            rows = await transaction.run(
                "UPDATE users SET password_hash = $2, password_changed_at = $3, epoch = epoch + 1,"
                " must_change_password = $4, password_expires_at = $5 WHERE id = $1 RETURNING id",
                *(user_id, password_hash, event.happened_at, temporary_until is not None, temporary_until),
            )
            if rows:
                await _end_logins(transaction, user_id)
                await AttemptCounters.forget_user(transaction, user_id)
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    @staticmethod
    async def use_up_temporary_password(transaction: Transaction, user_id: str, now: int) -> None:
        """Use up a temporary password, so that no one signs in with it again; leave any other password as it is.

        Raises:
            Conflict: It is used up or expired already.
        """
        rows = await transaction.run(
            "UPDATE users SET password_expires_at = CASE WHEN password_expires_at > $2 THEN $2 END"
            " WHERE id = $1 AND (password_expires_at IS NULL OR password_expires_at > $2) RETURNING id",
            *(user_id, now),
        )
        if not rows:
            raise Conflict("This temporary password is used up.")

    async def require_change(self, user_id: str, event: Event) -> bool:
        """Require a user to change the password first; return False if the user is gone."""

        async def work(transaction: Transaction) -> bool:
            rows = await transaction.run(
                "UPDATE users SET must_change_password = TRUE WHERE id = $1 RETURNING id", user_id
            )
            if rows:
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def set_active(self, user_id: str, event: Event, *, active: bool) -> bool:
        """Enable a user, or disable one and end every login and API token; return False if the user is gone."""

        async def work(transaction: Transaction) -> bool:
            rows = await transaction.run(
                "UPDATE users SET is_active = $2, epoch = epoch + 1 WHERE id = $1 RETURNING id", user_id, active
            )
            if rows:
                await _end_logins(transaction, user_id)  # also when enabling: none may become active again
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

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
            logins = await transaction.run("SELECT id_hash FROM logins WHERE user_id = $1", user_id)
            rows = await transaction.run(
                "DELETE FROM users WHERE id = $1 AND epoch = $2 RETURNING id", user_id, security_stamp
            )
            if not rows:
                return None
            await AttemptCounters.forget_user(transaction, user_id)
            return [row[0] for row in logins]

        return await self.database.transaction(work)

    async def take_token_reuse_at(self, user_id: str) -> int | None:
        """Return, once, when remember-me token reuse was detected: seconds since 1970, `None` if it was not."""
        rows = await self.database.read("SELECT copied_at FROM users WHERE id = $1 AND copied_at IS NOT NULL", user_id)
        if not rows:
            return None
        taken = await self.database.write(
            "UPDATE users SET copied_at = NULL WHERE id = $1 AND copied_at = $2 RETURNING id", user_id, rows[0][0]
        )
        return int(rows[0][0]) if taken else None

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List all users by name, each with the number of active logins."""
        rows = await self.database.read(
            "SELECT u.id, u.username, u.is_active, u.created_at, max(l.seen_at), count(l.ref)"  # noqa: S608 -- constants
            f" FROM users u LEFT JOIN logins l ON l.user_id = u.id AND {is_active_sql('$1', '$2')}"
            " GROUP BY u.id, u.username, u.username_key, u.is_active, u.created_at ORDER BY u.username_key",
            *(now, idle_since),
        )
        return [
            UserRow(i, name, bool(active), created_at, seen or None, count)
            for i, name, active, created_at, seen, count in rows
        ]

    async def list_hash_prefixes(self, after: str, at_most: int) -> tuple[list[str], str | None]:
        """List the parts of password hashes before the salt, for some users at a time.

        Args:
            after: The id after which to start, as the last call returned it; empty at first.
            at_most: The number of users.

        Returns:
            One part for each user, and the last of their ids; `None` if there are no more users.
        """
        rows = await self.database.read(
            "SELECT id, substr(rtrim(rtrim(rtrim(password_hash, $3), '$'), $3), 1, 64)"
            " FROM users WHERE id > $1 ORDER BY id LIMIT $2",
            *(after, at_most, _BASE64),
        )
        return [row[1] for row in rows], rows[-1][0] if rows else None

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


async def _end_logins(transaction: Transaction, user_id: str) -> None:
    await transaction.run("DELETE FROM logins WHERE user_id = $1", user_id)


def _credentials(row: Sequence[Any]) -> Credentials:
    user_id, username, security_stamp, must_change, password_hash, is_active, expires_at = row
    user = User(user_id, username, security_stamp, must_change_password=bool(must_change))
    return Credentials(user, password_hash, bool(is_active), expires_at)
