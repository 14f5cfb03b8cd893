"""The users of an app that has no users table: their ids and usernames, and how they are found and changed."""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_urlsafe
from typing import Any, Final
from unicodedata import category, normalize

from ..database.interface import Transaction
from ..database.models import ActingLogin, ActiveLogin, Credentials, Event, NewUser, User, UserRow
from ..features.logins.user_loader import LoginFinder, find_with_user
from ..store import Store
from .directory import NewAccount

_ID_BYTES: Final = 16  # 128 bits, which makes 22 characters
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")

MAX_USERNAME_LENGTH: Final = 64  # code points, after NFC

#: The rule in one sentence, for forms.
RULE: Final = f"Use 1 to {MAX_USERNAME_LENGTH} letters and digits, with spaces and . _ - @ + ' between them."

_PUNCTUATION: Final = frozenset(" ._-@+'")
_TRIMMED: Final = " "  # phones add one after a word

#: Letters and marks that show nothing, or look like a space (Unicode's default ignorables and fillers).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00013441\U00013442\U00016fe4\U000e0100-\U000e01ef]"
)


#: Anything longer is no username, even before it is normalized: that takes quadratic time for some texts.
_MAX_INPUT: Final = 4 * MAX_USERNAME_LENGTH


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

    @cached_property
    def _finder(self) -> LoginFinder[ActiveLogin]:
        return find_with_user(self.store.database)

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
        return _ID.fullmatch(user_id) is not None

    def find_login(self, id_hash: str, user_id: str, now: int, idle_since: int) -> Awaitable[ActiveLogin | None]:
        """Find them in one statement."""
        return self._finder.find(id_hash, user_id, now, idle_since)

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


def new_user_id() -> str:
    """Create a random user id."""
    return token_urlsafe(_ID_BYTES)


def display_name(typed: str) -> str:
    """Return the username as entered, without surrounding spaces, in NFC."""
    return normalize("NFC", typed.strip(_TRIMMED))


def normalize_username(typed: str) -> str | None:
    """Return the form in which usernames are compared, `None` if this is not a valid username.

    Usernames that differ only in case, width or composition of accents have the same form: NFKC and case folding
    (Unicode Standard, 3.13, D146).
    """
    if len(typed) > _MAX_INPUT:
        return None
    name = display_name(typed)
    if not _is_well_formed(name):
        return None
    wide = normalize("NFKC", name)
    if len(wide) > _MAX_INPUT:  # one character may expand to 18, and nothing shortens them again
        return None
    key = normalize("NFKC", wide.casefold())
    return key if _is_well_formed(key) else None


def validate_username(typed: str) -> str | None:
    """Return why this is not a valid username, `None` if it is."""
    if normalize_username(typed) is not None:
        return None
    size = len(typed.strip(_TRIMMED))
    if size == 0:
        return "Choose a username."
    if size > MAX_USERNAME_LENGTH:
        return f"Use at most {MAX_USERNAME_LENGTH} characters (you entered {size})."
    return "Use only letters, digits, spaces and . _ - @ + ', and begin and end with a letter or digit."


def _is_well_formed(name: str) -> bool:
    if not 1 <= len(name) <= MAX_USERNAME_LENGTH or "  " in name or _INVISIBLE.search(name):
        return False
    if not (_is_letter_or_digit(name[0]) and _is_letter_or_digit(name[-1], marks=True)):
        return False
    return all(_is_letter_or_digit(character, marks=True) or character in _PUNCTUATION for character in name)


def _is_letter_or_digit(character: str, *, marks: bool = False) -> bool:
    return category(character)[0] in ("LNM" if marks else "LN")
