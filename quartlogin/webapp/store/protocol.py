"""What the application asks of a database, one method for each question."""

from dataclasses import dataclass
from typing import Final, Protocol

from quartlogin import UserMixin

#: The version of `schema.sql` that this code works with.
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, eq=False)  # UserMixin compares by id
class User(UserMixin):
    """A user, as views and templates see it: without the password hash."""

    id: str
    #: As typed at registration.
    username: str


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user: User
    password_hash: str
    is_active: bool


class StoreUnavailable(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """The database does not answer, or not now."""


class DatabaseRefused(Exception):  # noqa: N818 -- the message is one sentence for the operator
    """This database cannot be used at all: unreadable, read-only, or another program's."""


class UsernameTaken(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """Somebody has this name already, or one that differs only in case, width or composition."""


class Store(Protocol):
    """A database of users. Every method raises `StoreUnavailable` when the database does not answer."""

    async def open(self) -> None:
        """Open the database, and create the tables if it is empty.

        Raises:
            DatabaseRefused: It cannot be used.
        """

    async def close(self) -> None:
        """Close every connection. Closing twice does no harm."""

    async def ping(self) -> None:
        """Return if the database answers."""

    async def find_user(self, user_id: str) -> User | None:
        """Find an active user by id: one statement, one trip to the database."""

    async def find_credentials(self, username_key: str) -> Credentials | None:
        """Find what a sign-in under this normalised name is checked against, also of a disabled user."""

    async def add_user(self, user: User, username_key: str, password_hash: str, now: int) -> None:
        """Add a user; all or nothing.

        Args:
            user: Its id is new.
            username_key: The normalised name.
            password_hash: argon2's PHC string.
            now: Seconds since 1970.

        Raises:
            UsernameTaken: There is a user with this key.
        """

    async def replace_password_hash(self, user_id: str, old: str, new: str) -> None:
        """Store a renewed hash of the same password, unless the password was changed in between."""

    async def set_active(self, username_key: str, *, active: bool) -> bool:
        """Enable or disable a user; False if there is none of this name."""
        ...
