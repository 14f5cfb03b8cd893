"""The methods of an app's users, called safely: each has a time limit, and each result is checked."""

import asyncio
import inspect
from collections.abc import Awaitable, Mapping, Sequence
from logging import getLogger
from typing import Any, Final, TypeVar, cast

from werkzeug.exceptions import HTTPException

from quartlogin import BatchLoader, ConfigurationError, QuartLoginError

from ..database.errors import NameTaken, StoreUnavailable
from .columns import UserColumns
from .protocol import MAX_NAME_LENGTH, DeleteRefused, FieldError, has_method, is_storable_id, normalize_name

T = TypeVar("T")

#: Seconds that each of the app's methods has to return.
TIMEOUT: Final = 10
_BATCH: Final = 100  # users of one lookup

#: Errors of the app's methods that mean something; any other is the app's failure.
_MEANT: Final = (NameTaken, FieldError, DeleteRefused, HTTPException, QuartLoginError, StoreUnavailable)

_log = getLogger(__name__)


class UsersUnavailable(StoreUnavailable):
    """A method of the app's users failed or took too long; the request is answered 503."""


class CheckedUsers:
    """The users of an app. Every coroutine raises `UsersUnavailable` if the app's method fails or takes too long.

    Args:
        users: As `check_users` returned it.
        id_attribute: The name of the method that returns a user's id.
    """

    def __init__(self, users: Any, id_attribute: str = "get_id") -> None:
        self._users = users
        self._id_attribute = id_attribute
        self._batches: BatchLoader[str, Any] | None = BatchLoader(users.by_ids) if has_method(users, "by_ids") else None
        self._name = type(users).__name__

    @property
    def table(self) -> str:
        """The name of the users table: the `table` of the class, or else the name of the class."""
        return str(getattr(self._users, "table", None) or type(self._users).__qualname__)

    @property
    def name_label(self) -> str:
        """What pages call the name: the `name_label` of the class, or "Username"."""
        return str(getattr(self._users, "name_label", None) or "Username")

    @property
    def name_rule(self) -> str:
        """The rule for names in one sentence: the `name_rule` of the class; empty without one."""
        return str(getattr(self._users, "name_rule", None) or "")

    def has(self, method: str) -> bool:
        """Tell whether the class has an optional method."""
        return has_method(self._users, method)

    # --- names

    def normalize(self, typed: str) -> str | None:
        """Return the form in which names are compared: the app's own, or the default.

        Raises:
            ConfigurationError: The app's `normalize` returned something else.
        """
        own = getattr(self._users, "normalize", None)
        if own is None:
            return normalize_name(typed)
        name = self._call("normalize", typed) if len(typed) <= 4 * MAX_NAME_LENGTH else None
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"{self._name}.normalize returned {type(name).__name__}: return a text or None.")
        return name if name and len(name) <= MAX_NAME_LENGTH and is_storable_id(name) else None

    def validate(self, typed: str) -> str | None:
        """Return why this is not a valid name, in one sentence; `None` if it is."""
        if self.normalize(typed) is not None:
            return None
        if not typed.strip():
            return "Enter a name."
        is_long = len(typed) > MAX_NAME_LENGTH
        return f"Use at most {MAX_NAME_LENGTH} characters." if is_long else "This is not a valid name."

    def name_of(self, user: Any) -> str:
        """Return the name that pages show."""
        return str(self._call("name_of", user))

    # --- users

    async def by_id(self, user_id: str) -> Any | None:
        """Find a user by id.

        Raises:
            ConfigurationError: The app returned something else, or another user.
        """
        method = "by_id" if self._batches is None else "by_ids"
        asked = self._users.by_id(user_id) if self._batches is None else self._batches.load(user_id)
        user = await self._answer(method, asked)
        return None if user is None else self._check_id(user, user_id, method)

    @property
    def columns(self) -> UserColumns | None:
        """The columns from which a user is made, if they are in the accounts' database."""
        columns: UserColumns | None = getattr(self._users, "columns", None)
        return columns

    def from_columns(self, user_id: str, values: Sequence[Any]) -> Any:
        """Make a user from the values of its columns.

        Raises:
            ConfigurationError: The app made something else, or another user.
        """
        columns = self.columns
        try:
            user = None if columns is None else columns.make(*values)
        except Exception as error:
            _log.exception("%s.columns.make failed.", self._name)
            raise UsersUnavailable(f"{self._name}.columns.make failed: {type(error).__name__}.") from error
        return self._check_id(user, user_id, "columns.make")

    def _check_id(self, user: Any, user_id: str, method: str) -> Any:
        if (found := self.id_of(user, method)) != user_id:
            raise ConfigurationError(
                f"{self._name}.{method} returned user {found!r:.80} when asked for {user_id!r:.80}."
            )
        return user

    async def by_ids(self, user_ids: list[str]) -> list[Any | None]:
        """Find many users; some at a time where the app loads many at once, or else one after another."""
        at_once = 1 if self._batches is None else _BATCH
        users: list[Any] = []
        for start in range(0, len(user_ids), at_once):
            users += await asyncio.gather(*map(self.by_id, user_ids[start : start + at_once]))
        return users

    async def by_name(self, name_key: str) -> Any | None:
        """Find a user by normalized name; no user has an empty one."""
        return None if not name_key else await self._answer("by_name", self._users.by_name(name_key))

    async def create(self, name_key: str, fields: Mapping[str, Any]) -> Any:
        """Create a user with an id that can be kept.

        Raises:
            NameTaken: A user has this name.
            FieldError: The app refuses a value.
            ConfigurationError: The app returned something else.
        """
        user = await self._answer("create", self._users.create(name_key, fields))
        self.id_of(user, "create")
        return user

    async def check_created(self, user: Any, name_key: str) -> None:
        """Check that a user whom the app has created has the name: any other was there before.

        Raises:
            ConfigurationError: The name is nobody's, or another user's.
        """
        created, found = self.id_of(user, "create"), await self.by_name(name_key)
        if found is None or self.id_of(found, "by_name") != created:
            raise ConfigurationError(
                f"{self._name}.create returned user {created!r:.80} for the name {name_key!r:.80}, and by_name finds "
                "another one or none: create a new user with this very name, or raise NameTaken."
            )

    async def rename(self, user: Any, name_key: str) -> None:
        """Rename a user.

        Raises:
            NameTaken: Another user has this name.
            FieldError: The app refuses it.
        """
        await self._answer("rename", self._users.rename(user, name_key))

    async def delete(self, user: Any) -> None:
        """Delete a user.

        Raises:
            DeleteRefused: The app refuses.
        """
        await self._answer("delete", self._users.delete(user))

    async def old_password_hash(self, user: Any) -> str | None:
        """Return the hash that the app has of a user's password; `None` without one.

        Raises:
            ConfigurationError: The app returned something else.
        """
        if not self.has("old_password_hash"):
            return None
        asked = self._call("old_password_hash", user)
        stored = await self._answer("old_password_hash", asked) if inspect.isawaitable(asked) else asked
        if stored is not None and not isinstance(stored, str):
            raise ConfigurationError(f"{self._name}.old_password_hash returned {type(stored).__name__}: return a text.")
        return stored or None

    def stamp_of(self, user: Any) -> str | None:
        """Return what tells this user from a later one with the same id; `None` if the app has no such thing."""
        stamp = self._call("stamp", user) if self.has("stamp") else None
        return None if stamp is None else str(stamp)

    def id_of(self, user: Any, method: str) -> str:
        """Return a user's id.

        Args:
            user: What the app returned.
            method: The app's method that returned it, for the message.

        Raises:
            ConfigurationError: This is no user, or its id cannot be kept.
        """
        get_id = getattr(user, self._id_attribute, None)
        if not callable(get_id) or not hasattr(user, "is_active"):
            raise ConfigurationError(
                f"{self._name}.{method} returned an object of type {type(user).__name__}, which has no "
                f"{self._id_attribute}() or no is_active: derive its class from quartlogin.UserMixin."
            )
        user_id = get_id()
        if not is_storable_id(user_id):
            raise ConfigurationError(
                f"{self._name}.{method} returned a user with the id {user_id!r:.80}: an id must be a text of 1 to 255 "
                "characters, without NUL and surrogates."
            )
        return cast(str, user_id)

    async def _answer(self, method: str, asked: Awaitable[T]) -> T:
        """Wait for a method of the app.

        Raises:
            UsersUnavailable: It failed, or took too long.
        """
        limit = asyncio.timeout(TIMEOUT)
        try:
            async with limit:
                return await asked
        except _MEANT:
            raise
        except Exception as error:
            reason = f"took longer than {TIMEOUT} seconds" if limit.expired() else f"failed: {type(error).__name__}"
            raise self._unavailable(method, reason) from error

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the app that is not waited for.

        Raises:
            UsersUnavailable: It failed.
        """
        try:
            return getattr(self._users, method)(*arguments)
        except _MEANT:
            raise
        except Exception as error:
            raise self._unavailable(method, f"failed: {type(error).__name__}") from error

    def _unavailable(self, method: str, reason: str) -> UsersUnavailable:
        text = f"{self._name}.{method} {reason}."
        _log.exception(text)
        return UsersUnavailable(text)
