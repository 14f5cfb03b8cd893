"""The directory: where the accounts find, create and delete users, whosever table they are in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..database.interface import Transaction
from ..database.models import ActingLogin, ActiveLogin, Credentials, Event, NewUser, User, UserRow
from ..store import Store
from .own import is_user_id, new_user_id
from .usernames import RULE, display_name, normalize_username, validate_username


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
        """Find an active login and its user; the arguments are those of `Logins.find`."""
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


@dataclass(frozen=True)
class OwnDirectory:
    """The users of an app that has no users table: each change of user and account is one transaction."""

    store: Store
    table: str = field(default="quartlogin_users", init=False)
    name_label: str = field(default="Username", init=False)
    name_rule: str = field(default=RULE, init=False)
    takes_fields: bool = field(default=False, init=False)
    can_delete: bool = field(default=True, init=False)
    can_rename: bool = field(default=True, init=False)
    adds_accounts: bool = field(default=False, init=False)

    def normalize(self, typed: str) -> str | None:
        """Return the form in which usernames are compared."""
        return normalize_username(typed)

    def validate(self, typed: str) -> str | None:
        """Return why this is not a valid username."""
        return validate_username(typed)

    def name_of(self, user: User) -> str:
        """Return the username."""
        return user.username

    async def by_id(self, user_id: str) -> User | None:
        """Find a user by id."""
        return await self.store.users.by_id(user_id)

    async def check(self) -> None:
        """Do nothing: the users table is one of the accounts' own."""

    def is_possible_id(self, user_id: str) -> bool:
        """Tell whether `new_user_id` can have created this id."""
        return is_user_id(user_id)

    def find_login(self, id_hash: str, user_id: str, now: int, idle_since: int) -> Awaitable[ActiveLogin | None]:
        """Find them in one statement."""
        return self.store.logins.find(id_hash, user_id, now, idle_since)

    async def find_credentials(self, name_key: str) -> Credentials | None:
        """Find them in one statement."""
        return await self.store.users.find_credentials(name_key)

    async def credentials_of(self, user_id: str) -> Credentials | None:
        """Find the user, and then the rest."""
        user = await self.by_id(user_id)
        return None if user is None else await self.store.passwords.find(user, user_id)

    async def find_user(self, name_key: str) -> Credentials | None:
        """Find them in one statement: every user has an account."""
        return await self.store.users.find_credentials(name_key)

    async def with_old_hash(self, credentials: Credentials) -> Credentials:
        """Return them as they are: no app has hashes of these users."""
        return credentials

    async def add_account(self, _: Transaction, __: Credentials, ___: int) -> None:
        """Do nothing: every user has an account."""

    async def is_taken(self, name_key: str) -> bool:
        """Tell whether a user has this normalized username."""
        return await self.store.users.find_credentials(name_key) is not None

    async def complete(self, _: Credentials) -> bool:
        """Refuse: no registration is ever interrupted."""
        return False

    async def adopt(self, _: Credentials, __: str) -> None:
        """Do nothing: no app has hashes of these users."""

    async def begun_hash(self, _: str) -> str | None:
        """Return `None`: no registration is ever interrupted."""
        return None

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List them in one statement."""
        return await self.store.users.list_all(now, idle_since)

    async def clean(self, _: int) -> int:
        """Do nothing: nothing is ever interrupted."""
        return 0

    async def create(self, name: str, name_key: str, password_hash: str, _: Mapping[str, Any]) -> NewAccount:
        """Choose an id; the user is added together with the account."""
        new = NewUser(User(new_user_id(), display_name(name)), name_key, password_hash)

        async def add(transaction: Transaction, now: int) -> None:
            await self.store.users.insert(transaction, new, now)

        return NewAccount(new.user, new.user.id, add)

    async def rename(self, credentials: Credentials, name: str, name_key: str, event: Event) -> None:
        """Rename a user in one transaction."""
        await self.store.users.rename(User(credentials.account.user_id, display_name(name)), name_key, event)

    async def delete(self, credentials: Credentials, by: ActingLogin) -> list[str] | None:
        """Delete a user in one transaction."""
        account = credentials.account
        return await self.store.users.delete(account.user_id, account.security_stamp, by)
