"""The app's own users: the interface that `Accounts` asks, and what it may raise."""

import inspect
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar
from unicodedata import normalize

from quartlogin import ConfigurationError

from .columns import UserColumns

UserT = TypeVar("UserT")

#: The most characters of a name; an e-mail address has no more (RFC 5321, 4.5.3.1.3).
MAX_NAME_LENGTH: Final = 254
#: The most characters of a user's id.
MAX_ID_LENGTH: Final = 255
#: Anything longer is no name, even before it is normalized: that takes quadratic time for some texts.
_MAX_INPUT: Final = 4 * MAX_NAME_LENGTH

_COROUTINES: Final = ("by_id", "by_name", "create")
_OPTIONAL_COROUTINES: Final = ("by_ids", "delete", "rename", "set_address")
_FUNCTIONS: Final = ("name_of",)
_OPTIONAL_FUNCTIONS: Final = ("stamp", "normalize", "address_of")
_EITHER: Final = ("old_password_hash",)  # `def` or `async def`
_ADDRESS: Final = ("address_of", "set_address")
#: What each method is called with, beside those that are called with a user.
_ARGUMENTS: Final = {
    "by_id": ("user_id",),
    "by_name": ("name",),
    "create": ("name", "fields"),
    "by_ids": ("user_ids",),
    "rename": ("user", "name"),
    "set_address": ("user", "address"),
    "normalize": ("typed",),
}


class FieldError(Exception):
    """Raised by `Users.create`: a value cannot be stored; the form shows why.

    Args:
        field: The name of the form's field.
        text: One sentence for the visitor.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


class DeleteRefused(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """Raised by `Users.delete`: the user must stay, such as one with open orders; the page shows why.

    Args:
        text: One sentence for the visitor.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Users(Protocol[UserT]):
    """The users of an app, registered with `@accounts.users`. No table needs a column for the accounts.

    A user object has what `UserMixin` has: `get_id()`, whose text never changes, and `is_active`. A user who is not
    active, or is gone, is signed out everywhere.

    These are optional:

    - `table: str`: the name of the users table; without it, the name of the class. The accounts of one database belong
      one users table: apps that share it give the same name, and any other name is refused when the app starts.
    - `name_label: str`: what pages call the name, such as "E-mail address"; "Username" without it.
    - `name_rule: str`: the rule for names in one sentence, shown beside the field.
    - `async def by_ids(self, user_ids: list[str]) -> Mapping[str, User]`: `by_id` for many, asked once for all requests
      that wait. It runs outside of any request.
    - `columns: UserColumns`: the columns from which a user is made. Where the users table is in the accounts' database,
      a page then finds login and user in one statement, and `by_id` is not called.
    - `def stamp(self, user) -> str`: anything that distinguishes this user from a later one with the same id, such as
      the time of creation. Needed where ids are used again, as SQLite does without AUTOINCREMENT.
    - `old_password_hash(self, user) -> str | None`, `def` or `async def`: the hash that the app has of this user's
      password. It is asked for until the accounts have had a password of this user, and replaced at a sign-in.
    - `async def delete(self, user) -> None`: deletes the user, committed when it returns. Raises `DeleteRefused`.
      Without it, users cannot delete their accounts.
    - `async def rename(self, user, name: str) -> None`: gives the user a normalized name, committed when it returns.
      Raises `NameTaken` or `FieldError`. Without it, `quartlogin user rename` does not rename the app's users.
    - `def address_of(self, user) -> str | None` and `async def set_address(self, user, address: str) -> None`: the
      user's e-mail address. Give both or none. Nothing calls them yet: they are for features that send mail.
    - `def normalize(self, typed: str) -> str | None`: the form in which names are compared; `None` if it is not a name.
    """

    async def by_id(self, user_id: str) -> UserT | None:
        """Return the user with this id, in the task of the request; `None` without one."""
        ...

    async def by_name(self, name: str) -> UserT | None:
        """Return the user with this name, normalized: without surrounding spaces, in NFKC, case-folded."""
        ...

    async def create(self, name: str, fields: Mapping[str, Any]) -> UserT:
        """Create a user, committed when it returns.

        Args:
            name: Normalized.
            fields: The values of the app's own fields of the registration form.

        Raises:
            NameTaken: Another user has this name.
            FieldError: A value cannot be stored.
        """
        ...

    def name_of(self, user: UserT) -> str:
        """Return the name that pages show."""
        ...


def check_users(given: Any) -> Any:
    """Return the users of an app as an object.

    Args:
        given: An object, or a class that needs no arguments.

    Raises:
        ConfigurationError: A method is missing, takes other arguments, or is not a coroutine function where it must be
            one.
    """
    if given is None or inspect.isroutine(given):
        raise ConfigurationError(f"accounts.users({given!r:.80}): register a class, or an object of one.")
    users = _object_of(given)
    name = type(users).__name__
    missing = [method for method in (*_COROUTINES, *_FUNCTIONS) if not callable(getattr(users, method, None))]
    if missing:
        raise ConfigurationError(f"The class {name} lacks {', '.join(missing)}: see quartlogin.accounts.Users.")
    for method in (*_OPTIONAL_COROUTINES, *_OPTIONAL_FUNCTIONS, *_EITHER):
        if has_method(users, method) and not callable(getattr(users, method)):
            raise ConfigurationError(f"{name}.{method} must be a method: see quartlogin.accounts.Users.")
    _check_kinds(users, name)
    _check_arguments(users, name)
    if has_method(users, "columns") and not isinstance(users.columns, UserColumns):
        raise ConfigurationError(f"{name}.columns must be a UserColumns(table, id, names, make).")
    lacking = [method for method in _ADDRESS if not has_method(users, method)]
    if len(lacking) == 1:
        raise ConfigurationError(f"The class {name} lacks {lacking[0]}: write both of {', '.join(_ADDRESS)}, or none.")
    return users


def _check_kinds(users: Any, name: str) -> None:
    for method in (*_COROUTINES, *_OPTIONAL_COROUTINES):
        if has_method(users, method) and not inspect.iscoroutinefunction(getattr(users, method)):
            raise ConfigurationError(f"{name}.{method} must be a coroutine function: write `async def {method}`.")
    for method in (*_FUNCTIONS, *_OPTIONAL_FUNCTIONS):
        if inspect.iscoroutinefunction(getattr(users, method, None)):
            raise ConfigurationError(f"{name}.{method} must not be a coroutine function: write `def {method}`.")


def _check_arguments(users: Any, name: str) -> None:
    for method in (*_COROUTINES, *_FUNCTIONS, *_OPTIONAL_COROUTINES, *_OPTIONAL_FUNCTIONS, *_EITHER):
        arguments = _ARGUMENTS.get(method, ("user",))
        if has_method(users, method) and not _takes(getattr(users, method), arguments):
            raise ConfigurationError(
                f"{name}.{method} is called with {' and '.join(arguments)}, and does not take "
                f"{'it' if len(arguments) == 1 else 'them'}: see quartlogin.accounts.Users."
            )


def has_method(users: Any, name: str) -> bool:
    """Tell whether an app's users have an optional method."""
    return getattr(users, name, None) is not None


def _takes(method: Any, arguments: tuple[str, ...]) -> bool:
    """Tell whether a method can be called with arguments by position."""
    try:
        inspect.signature(method).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # it has no signature, as some that are written in C
        return True
    return True


def _object_of(given: Any) -> Any:
    if not isinstance(given, type):
        return given
    try:
        return given()
    except TypeError as error:
        raise ConfigurationError(
            f"The class {given.__name__} cannot be created without arguments ({error}): register an object instead, "
            "accounts.users(...)."
        ) from error


def normalize_name(typed: str) -> str | None:
    """Return the form in which the names of an app's users are compared; `None` if this cannot be a name.

    It is stripped, in NFKC and case-folded, and contains no control character, nor half of a surrogate pair.
    """
    if len(typed) > _MAX_INPUT:
        return None
    name = normalize("NFKC", normalize("NFKC", typed.strip()).casefold()).strip()
    return name if 1 <= len(name) <= MAX_NAME_LENGTH and name.isprintable() else None


def is_storable_id(text: Any) -> bool:
    """Tell whether a text can be kept as the id of a user."""
    return (
        isinstance(text, str)
        and 1 <= len(text) <= MAX_ID_LENGTH
        and "\0" not in text
        and text.encode("utf-8", "ignore").decode() == text
    )
