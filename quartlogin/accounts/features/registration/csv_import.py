"""Reading accounts from a CSV file."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from wtforms import Form

from ...database.models import NewUser, User
from ...users.own import display_name, new_user_id, normalize_username
from ...users.protocol import FieldError
from ..passwords import old_schemes
from ..passwords.hash_parameters import LIMITS, HashParameters, read_parameters
from ..passwords.policy import validate_password
from .forms import fill_in

_EITHER: Final = frozenset({"password", "password_hash"})
_FLAGS: Final = frozenset({"disabled", "must_change_password"})
_TRUTH: Final = {"": False, "0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}
_OURS: Final = frozenset({"username"}) | _EITHER
_NO_FIELDS: Final[Mapping[str, Any]] = MappingProxyType({})
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class ImportRefused(Exception):  # noqa: N818 -- the message is for the operator
    """The file as a whole cannot be read."""


class _Fault(Exception):  # noqa: N818 -- becomes a `BadLine`
    """A line cannot be imported; the text says why."""


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be imported."""

    #: Its number in the file; the header is line 1.
    number: int
    reason: str


@dataclass(frozen=True)
class ImportRules:
    """The rules for the lines of a file."""

    #: Of clear-text passwords, in code points.
    password_min_length: int
    #: Words that a password may not consist of.
    context_words: tuple[str, ...]
    #: Returns the normalized name; `None` if it is not valid.
    normalize: Callable[[str], str | None] = normalize_username
    #: The name of a name, for messages.
    name_label: str = "username"
    #: The app's own fields; `None` without any.
    form: type[Form] | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the app's own fields."""
        return () if self.form is None else tuple(field.name for field in self.form() if field.name not in _FLAGS)


@dataclass(slots=True)
class ImportedUser:
    """A line that can be imported."""

    line: int
    username: str
    #: The normalized username.
    key: str
    #: In clear text, until it is hashed.
    password: str | None
    password_hash: str
    is_disabled: bool
    must_change_password: bool
    #: The values of the app's own fields.
    fields: Mapping[str, Any]

    def new_user(self) -> NewUser:
        """Return the account, with a new id."""
        return NewUser(
            User(new_user_id(), display_name(self.username)),
            self.key,
            self.password_hash,
            is_disabled=self.is_disabled,
            must_change_password=self.must_change_password,
        )


def read_users(path: str | Path, rules: ImportRules) -> Iterator[ImportedUser | BadLine]:
    """Read a file line by line.

    Args:
        path: A CSV file in UTF-8 with a header.
        rules: The rules for its lines.

    Raises:
        ImportRefused: It has another encoding, or other columns, or a line is not valid CSV.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        reader = csv.reader(_decoded(file), strict=True)
        columns = _columns_of(reader, rules)
        seen: dict[str, int] = {}
        for number, entry in _records(reader):
            if entry:  # not an empty line
                try:
                    yield _user_of(number, columns, entry, seen, rules)
                except _Fault as fault:
                    yield BadLine(number, str(fault))


def _columns_of(reader: Any, rules: ImportRules) -> list[str]:
    try:
        columns = [column.strip() for column in next(reader, [])]
    except csv.Error as error:
        raise ImportRefused(f"its first line is not valid CSV: {error}.") from None
    given, optional = {*columns}, {*_FLAGS, *rules.fields}
    if len(given) < len(columns) or "username" not in given or len(given & _EITHER) != 1 or given - _OURS - optional:
        raise ImportRefused(
            "its first line must be username,password or username,password_hash, separated by a comma. It may "
            f"also have the columns {', '.join([*sorted(_FLAGS), *rules.fields])}."
        )
    return columns


def _decoded(file: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if number == 1 and (line.startswith(_UTF16_MARKS) or b"\0" in line):
            raise ImportRefused("it is in UTF-16. Save it as UTF-8.")
        try:
            yield line.removeprefix(_UTF8_MARK if number == 1 else b"").decode("utf-8")
        except UnicodeDecodeError:
            raise ImportRefused(f"line {number} is not UTF-8. Save the file as UTF-8.") from None


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of its first line; it may span several.

    Raises:
        ImportRefused: A line is not valid CSV.
    """
    while True:
        number = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows may be the inside of a quoted field, which anyone may have written.
            raise ImportRefused(f"line {number} is not valid CSV: {error}. Correct it, and import again.") from None
        else:
            yield number, record


def _user_of(
    number: int, columns: list[str], record: list[str], seen: dict[str, int], rules: ImportRules
) -> ImportedUser:
    if len(record) != len(columns):
        raise _Fault(f"it has {len(record)} columns instead of {len(columns)}")
    values = dict(zip(columns, record, strict=True))
    username = values["username"]
    key = rules.normalize(username)
    if key is None:
        raise _Fault(f"{username[:80]!r} is not a valid {rules.name_label}")
    if key in seen:
        raise _Fault(f"the name {username!r} is already in line {seen[key]}")
    seen[key] = number
    password, password_hash = values.get("password"), values.get("password_hash", "")
    if fault := _fault_of_password(username, password, password_hash, rules):
        raise _Fault(f"the password cannot be used. {fault}")
    return ImportedUser(
        number,
        username,
        key,
        password,
        password_hash,
        _flag("disabled", values),
        _flag("must_change_password", values),
        _fields_of(values, rules),
    )


def _flag(name: str, values: Mapping[str, str]) -> bool:
    text = values.get(name, "")
    truth = _TRUTH.get(text.strip().casefold())
    if truth is None:
        raise _Fault(f"{name} is {text[:80]!r}: write true or false")
    return truth


def _fields_of(values: Mapping[str, str], rules: ImportRules) -> Mapping[str, Any]:
    """Return the values of the app's own fields, as its form reads them."""
    if rules.form is None:
        return _NO_FIELDS
    try:
        return fill_in(rules.form, [(name, values[name]) for name in rules.fields if name in values])
    except FieldError as error:
        raise _Fault(f"the app refuses the field {error.field!r}: {error.text}") from None


def _fault_of_password(username: str, password: str | None, password_hash: str, rules: ImportRules) -> str | None:
    if password is None:
        return _fault_of_hash(password_hash)
    return validate_password(password, rules.password_min_length, (*rules.context_words, username))


def _fault_of_hash(password_hash: str) -> str | None:
    """Return why a hash cannot be imported: every sign-in, and every guess, costs as much as its parameters say."""
    parameters = read_parameters(password_hash) or old_schemes.read_old_parameters(password_hash)
    if parameters is None:
        return "The hash is of no known scheme: argon2, Werkzeug's scrypt and pbkdf2, Django's pbkdf2, bcrypt."
    if getattr(parameters, "scheme", "") == "bcrypt" and not old_schemes.has_bcrypt():
        return "The hash is bcrypt's: install quartlogin[bcrypt]."
    if not parameters.is_within_limits:
        limits = LIMITS if isinstance(parameters, HashParameters) else old_schemes.LIMITS
        return f"The hash would take too much memory or time to check. {limits}"
    return None
