"""Reading accounts from a CSV file."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...database.models import NewUser, User
from ...users.own import new_user_id
from ...users.usernames import display_name, normalize_username
from ..passwords import old_schemes
from ..passwords.hash_parameters import LIMITS, HashParameters, read_parameters
from ..passwords.policy import validate_password

_COLUMNS: Final = ({"username", "password"}, {"username", "password_hash"})
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class ImportRefused(Exception):  # noqa: N818 -- the message is for the operator
    """The file as a whole cannot be read."""


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be imported."""

    #: Its number in the file; the header is line 1.
    number: int
    reason: str


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

    def new_user(self) -> NewUser:
        """Return the account, with a new id."""
        return NewUser(User(new_user_id(), self.username), self.key, self.password_hash)


def read_users(
    path: str | Path, password_min_length: int, password_denylist: tuple[str, ...]
) -> Iterator[ImportedUser | BadLine]:
    """Read a file line by line.

    Args:
        path: A CSV file in UTF-8 with a header.
        password_min_length: Of clear-text passwords, in code points.
        password_denylist: Words that a password may not consist of.

    Raises:
        ImportRefused: It has another encoding, or other columns.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        reader = csv.reader(_decoded(file), strict=True)
        try:
            columns = [column.strip() for column in next(reader, [])]
        except csv.Error as error:
            raise ImportRefused(f"its first line is not valid CSV: {error}.") from None
        if set(columns) not in _COLUMNS or len(columns) != len(set(columns)):
            raise ImportRefused(
                "its first line must be username,password or username,password_hash, separated by a comma."
            )
        seen: dict[str, int] = {}
        for number, entry in _records(reader):
            if isinstance(entry, BadLine):
                yield entry
            elif entry:  # not an empty line
                yield _user_of(number, columns, entry, seen, (password_min_length, password_denylist))


def _decoded(file: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if number == 1 and (line.startswith(_UTF16_MARKS) or b"\0" in line):
            raise ImportRefused("it is in UTF-16. Save it as UTF-8.")
        try:
            yield line.removeprefix(_UTF8_MARK if number == 1 else b"").decode("utf-8")
        except UnicodeDecodeError:
            raise ImportRefused(f"line {number} is not UTF-8. Save the file as UTF-8.") from None


def _records(reader: Any) -> Iterator[tuple[int, list[str] | BadLine]]:
    """Yield each record with the number of its first line; it may span several."""
    while True:
        number = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, BadLine(number, f"this is not valid CSV: {error}")
        else:
            yield number, record


def _user_of(
    number: int, columns: list[str], record: list[str], seen: dict[str, int], rules: tuple[int, tuple[str, ...]]
) -> ImportedUser | BadLine:
    if len(record) != len(columns):
        return BadLine(number, f"it has {len(record)} columns instead of {len(columns)}")
    fields = dict(zip(columns, record, strict=True))
    username, password = fields["username"], fields.get("password")
    key = normalize_username(username)
    if key is None:
        return BadLine(number, f"{username[:80]!r} is not a valid username")
    if key in seen:
        return BadLine(number, f"the name {username!r} is already in line {seen[key]}")
    seen[key] = number
    password_hash = fields.get("password_hash", "")
    fault = (
        _fault_of_hash(password_hash)
        if password is None
        else validate_password(password, rules[0], (*rules[1], username))
    )
    if fault is not None:
        return BadLine(number, f"the password cannot be used. {fault}")
    return ImportedUser(number, display_name(username), key, password, password_hash)


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
