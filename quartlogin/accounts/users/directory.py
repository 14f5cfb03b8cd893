"""The directory: where the accounts find, create and delete users, whosever table they are in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..database.interface import Transaction
from ..database.models import ActingLogin, ActiveLogin, Credentials, Event, UserRow


class NewAccount(NamedTuple):
    """A user whose account is added in the transaction of the first login."""

    user: Any
    user_id: str
    #: Adds the account, in a transaction that does nothing before, at a time in seconds since 1970.
    add: Callable[[Transaction, int], Awaitable[None]]


class Directory(Protocol):
    """The users of an app, with what the accounts keep about them.

    Every coroutine raises `StoreUnavailable` when the database of the accounts does not respond.
    """

    @property
    def table(self) -> str:
        """The name of the users table: accounts are those of one, since each has a user 5."""
        ...

    @property
    def name_label(self) -> str:
        """What pages call the name, such as "Username"."""
        ...

    @property
    def name_rule(self) -> str:
        """The rule for names in one sentence, for forms; empty without one."""
        ...

    @property
    def takes_fields(self) -> bool:
        """Tell whether users have fields of the app's own."""
        ...

    @property
    def can_delete(self) -> bool:
        """Tell whether users can be deleted."""
        ...

    @property
    def can_rename(self) -> bool:
        """Tell whether users can be renamed."""
        ...

    @property
    def adds_accounts(self) -> bool:
        """Tell whether a user whom the app signs in by itself may have no account yet."""
        ...

    def normalize(self, typed: str) -> str | None:
        """Return the form in which names are compared; `None` if this is not a valid name."""
        ...

    def validate(self, typed: str) -> str | None:
        """Return why this is not a valid name, in one sentence; `None` if it is."""
        ...

    def name_of(self, user: Any) -> str:
        """Return the name that pages show."""
        ...

    async def check(self) -> None:
        """Check, when the app starts, that users can be found.

        Raises:
            ConfigurationError: They cannot.
        """
        ...

    async def by_id(self, user_id: str) -> Any | None:
        """Find a user by id."""
        ...

    def is_possible_id(self, user_id: str) -> bool:
        """Tell whether a user can have this id; any other is not queried."""
        ...

    def find_login(self, id_hash: str, user_id: str, now: int, idle_since: int) -> Awaitable[ActiveLogin | None]:
        """Find an active login and its user, in one round trip for all concurrent callers.

        Args:
            id_hash: The hash of the login's id.
            user_id: The user whose login it must be.
            now: A login that expires earlier is not active.
            idle_since: A sign-in that was not seen since is not active.
        """
        ...

    async def find_credentials(self, name_key: str) -> Credentials | None:
        """Find the credentials of a normalized name, even if the account is disabled."""
        ...

    async def credentials_of(self, user_id: str) -> Credentials | None:
        """Find the credentials of a user with an account by id, even if the account is disabled."""
        ...

    async def find_user(self, name_key: str, /) -> Credentials | None:
        """Find a user by normalized name, even one without an account, for the operator."""
        ...

    async def with_old_hash(self, credentials: Credentials, /) -> Credentials:
        """Return a user's credentials with the hash that the app has, if the account never had a password."""
        ...

    async def add_account(self, transaction: Transaction, credentials: Credentials, now: int, /) -> None:
        """Add the account of a user who has none, unless another request was faster.

        Args:
            transaction: The transaction.
            credentials: As `find_user` returned them.
            now: Seconds since 1970.
        """
        ...

    async def complete(self, credentials: Credentials, /) -> bool:
        """Add the account of a user whose registration was interrupted; return False if it has been completed."""
        ...

    async def adopt(self, credentials: Credentials, password_hash: str, /) -> None:
        """Keep the password of a user whose hash the app has, with an account if there is none."""
        ...

    async def is_taken(self, name_key: str) -> bool:
        """Tell whether a user has this normalized name."""
        ...

    async def begun_hash(self, name_key: str, /) -> str | None:
        """Return the password hash of an interrupted registration of this normalized name."""
        ...

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List all users who have an account by name, each with the number of active logins."""
        ...

    async def clean(self, now: int, /) -> int:
        """Complete or undo what was interrupted; return how much.

        Args:
            now: Seconds since 1970.
        """
        ...

    async def create(self, name: str, name_key: str, password_hash: str, fields: Mapping[str, Any], /) -> NewAccount:
        """Create a user who has no account yet.

        Args:
            name: As entered.
            name_key: The normalized name.
            password_hash: argon2's PHC string.
            fields: The values of the app's own fields.

        Raises:
            NameTaken: A user has this name.
            FieldError: The app refuses a value.
        """
        ...

    async def rename(self, credentials: Credentials, name: str, name_key: str, event: Event, /) -> None:
        """Rename a user; logins and passwords stay.

        Args:
            credentials: As `find_user` returned them.
            name: As entered.
            name_key: The normalized name.
            event: The event to store.

        Raises:
            NameTaken: Another user has this name, or somebody is registering with it.
            FieldError: The app refuses it.
        """
        ...

    async def delete(self, credentials: Credentials, by: ActingLogin) -> list[str] | None:
        """Delete a user with everything that belongs to it.

        Args:
            credentials: Read together with the hash that the password was checked against.
            by: The login that requests it.

        Returns:
            The hashes of the ids of the user's logins; `None` if the user is gone, or the password was changed.

        Raises:
            LoginEnded: The login that requests it is not active.
            DeleteRefused: The app refuses.
        """
        ...
