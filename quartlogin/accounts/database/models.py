"""The rows of the tables, as the rest of the package sees them."""

import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from quartlogin import UserMixin

from ..security.proofs import Requirement

#: How a login is carried: by the session cookie, or as a bearer token.
Kind = Literal["session", "bearer"]

#: Characters of a user agent that are kept.
MAX_USER_AGENT_LENGTH: Final = 256


#: The last-seen time of a login that was never used, such as a new token.
NEVER: Final = 0


class Moment(NamedTuple):
    """A time at which logins are active or not: seconds since 1970."""

    now: int
    #: A sign-in that was not seen since is no longer active.
    idle_since: int

    @classmethod
    def present(cls, idle: int) -> "Moment":
        """Return the current time, for sign-ins that stay active for `idle` seconds after use."""
        now = int(time.time())
        return cls(now, now - idle)


@dataclass(frozen=True)
class ActingLogin:
    """The login on whose behalf an account is changed: it must be active, and proved, when the change is written."""

    id_hash: str
    #: Whose login it must be.
    user_id: str
    #: Seconds after which an unused sign-in is no longer active.
    idle: int
    #: What must be proved in it when the change is written.
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, eq=False)  # UserMixin compares by id
class User(UserMixin):
    """A user, as views and templates see it: without the password hash."""

    id: str
    #: As entered at registration.
    username: str


@dataclass(frozen=True)
class Account:
    """What is kept about a user besides passwords and logins."""

    user_id: str
    #: A login is active only while its own security stamp equals this one.
    security_stamp: int = 0
    is_enabled: bool = True
    #: Whether the user must change the password first.
    must_change_password: bool = False
    #: What distinguishes this user from a later one with the same id; `None`: not known.
    stamp: str | None = None
    #: When a deletion began that is not complete: seconds since 1970.
    deleting_at: int | None = None


@dataclass(frozen=True)
class NewUser:
    """An account to be created."""

    user: User
    #: The normalized username.
    username_key: str
    #: argon2's PHC string.
    password_hash: str = field(repr=False)
    #: When this temporary password, valid for one sign-in, expires: seconds since 1970. `None`: it is not temporary.
    temporary_until: int | None = None
    is_disabled: bool = False
    #: Whether the user must change the password first, even if it is not temporary.
    must_change_password: bool = False


@dataclass(frozen=True)
class Credentials:
    """A user with the account, and the password hash that a sign-in is checked against."""

    user: Any
    account: Account
    #: `None` if the account has no password.
    password_hash: str | None = field(repr=False)
    #: When the password expires: seconds since 1970. `None`: never.
    password_expires_at: int | None = None
    #: Whether there is an account; without one, a correct password adds it.
    has_account: bool = True
    #: Whether the account has a password, or had one.
    has_had_password: bool = True
    #: Whether the hash is the app's own, which is to be replaced.
    is_apps_hash: bool = False
    #: The normalized name of the begun registration whose password this is, if it is one's.
    completes: str | None = None

    @property
    def is_active(self) -> bool:
        """Tell whether the user may sign in, according to the app and to the account."""
        return self.account.is_enabled and bool(self.user.is_active)

    def has_expired(self, now: int) -> bool:
        """Tell whether the password has expired at a time in seconds since 1970."""
        return self.password_expires_at is not None and self.password_expires_at <= now


@dataclass(frozen=True)
class UserRow:
    """A user in a list. Times are seconds since 1970."""

    id: str
    username: str
    is_active: bool
    created_at: int
    #: When an active login was last used; `None` without any.
    seen_at: int | None
    #: The number of active sign-ins and API tokens.
    logins: int


class AccountLogin(NamedTuple):
    """The login of a request, as the pages see it."""

    user_id: str
    #: Its name on pages and on the command line; it grants nothing.
    public_id: str
    security_stamp: int
    #: Whether the user must change the password first.
    must_change_password: bool
    #: What was proved in it, as `Proofs` writes it: parsed only where it is asked for.
    proofs: str = ""


class ActiveLogin(NamedTuple):
    """An active login, and its user."""

    user: Any
    login: AccountLogin
    seen_at: int
    #: The state of its remember-me token, as `remember_rotation` writes it; empty if the login is not remembered.
    secrets: str


class LoginOfUser(NamedTuple):
    """An active login of an app's user, whom the app finds."""

    #: The account's `stamp`; `None`: not known yet.
    stamp: str | None
    login: AccountLogin
    seen_at: int
    #: As in `ActiveLogin`.
    secrets: str

    def of(self, user: Any) -> ActiveLogin:
        """Return it with its user."""
        return ActiveLogin(user, self.login, self.seen_at, self.secrets)


@dataclass(frozen=True)
class NewLogin:
    """A login to be created. Times are seconds since 1970."""

    id_hash: str
    public_id: str
    user_id: str
    kind: Kind
    #: Read together with the credentials; `None`: whatever it is now.
    security_stamp: int | None
    name: str | None
    secrets: str
    made_at: int
    expires_at: int
    address: str
    browser: str
    #: What was proved in it, as `Proofs` writes it.
    proofs: str = ""


@dataclass(frozen=True)
class LoginRow:
    """A login in a list. Times are seconds since 1970."""

    id_hash: str
    public_id: str
    kind: Kind
    name: str | None
    made_at: int
    #: `NEVER` for a token that was never used.
    seen_at: int
    expires_at: int
    address: str
    browser: str

    @property
    def subject(self) -> str:
        """The name of this login in events: users know their tokens by name."""
        return self.public_id if self.name is None else self.name


@dataclass(frozen=True)
class Seen:
    """The time at which a login was seen."""

    id_hash: str
    user_id: str
    #: Seconds since 1970.
    at: int


@dataclass(frozen=True)
class RememberedLogin:
    """A login that a remember cookie names."""

    public_id: str
    user_id: str
    secrets: str
    #: When a return by remember cookie was last recorded: seconds since 1970, 0 for never.
    resumed_at: int


@dataclass(frozen=True)
class AttemptCounter:
    """An attempt counter."""

    number: int = 0
    #: Seconds since 1970, oldest first.
    times: tuple[int, ...] = ()


@dataclass(frozen=True)
class Event:
    """An event of an account."""

    id: str
    kind: str
    #: `None`: no known user.
    user_id: str | None
    #: Seconds since 1970.
    happened_at: int
    address: str
    browser: str
    #: The public id of the login, or the name of the token, that it is about.
    subject: str | None = None
