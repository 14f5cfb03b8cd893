"""What the tables hold, as the rest of the application sees it."""

import time
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from quartlogin import UserMixin

#: How a login is carried.
Kind = Literal["session", "bearer"]

#: More of what a browser calls itself is not kept: characters.
LONGEST_BROWSER: Final = 256


#: When a login was seen that nobody has used yet, as a new token.
NEVER: Final = 0


class Moment(NamedTuple):
    """A time at which logins count or not: seconds since 1970."""

    now: int
    #: A sign-in that was not seen since counts no more.
    idle_since: int

    @classmethod
    def present(cls, idle: int) -> "Moment":
        """Return this moment, where a sign-in counts for so many seconds after it was used."""
        now = int(time.time())
        return cls(now, now - idle)


@dataclass(frozen=True)
class ActingLogin:
    """The login on whose behalf an account is changed: it must still count where the change is written."""

    id_hash: str
    #: Whose it must be.
    user_id: str
    #: How many seconds a sign-in counts that nobody uses.
    idle: int


@dataclass(frozen=True, eq=False)  # UserMixin compares by id
class User(UserMixin):
    """A user, as views and templates see it: without the password hash."""

    id: str
    #: As typed at registration.
    username: str
    #: Which logins count: those that began in the same security stamp.
    security_stamp: int = 0
    #: The name of the login that this request belongs to.
    login_public_id: str = ""
    #: Whether nothing else can be done before.
    must_change_password: bool = False


@dataclass(frozen=True)
class NewUser:
    """An account that is about to be made."""

    user: User
    #: The normalised name.
    username_key: str
    #: argon2's PHC string.
    password_hash: str = field(repr=False)
    #: Until when somebody can sign in with it, who has to change it then: seconds since 1970. `None`: it is not a
    #: temporary one.
    temporary_until: int | None = None


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user: User
    password_hash: str = field(repr=False)
    is_active: bool
    #: When nobody can sign in with this password any more: seconds since 1970. `None`: never.
    password_expires_at: int | None = None

    def has_expired(self, now: int) -> bool:
        """Tell whether nobody can sign in with this password any more, now being in seconds since 1970."""
        return self.password_expires_at is not None and self.password_expires_at <= now


@dataclass(frozen=True)
class UserRow:
    """A user in a list. Times are seconds since 1970."""

    id: str
    username: str
    is_active: bool
    created_at: int
    #: When one of the logins that still count was used last; `None` without any.
    seen_at: int | None
    #: How many sign-ins and tokens count.
    logins: int


class ActiveLogin(NamedTuple):
    """A login that counts, and its user."""

    user: User
    seen_at: int
    #: Of the remember cookie, as `remember_secrets` writes them; empty if the login is not remembered.
    secrets: str


@dataclass(frozen=True)
class NewLogin:
    """A login that is about to begin. Times are seconds since 1970."""

    id_hash: str
    public_id: str
    user_id: str
    kind: Kind
    security_stamp: int
    name: str | None
    secrets: str
    made_at: int
    expires_at: int
    address: str
    browser: str


@dataclass(frozen=True)
class LoginRow:
    """A login in a list. Times are seconds since 1970."""

    id_hash: str
    public_id: str
    kind: Kind
    name: str | None
    made_at: int
    #: `NEVER` for a token that was not used yet.
    seen_at: int
    expires_at: int
    address: str
    browser: str

    @property
    def subject(self) -> str:
        """What events that are about it call it: users know their tokens by name."""
        return self.public_id if self.name is None else self.name


@dataclass(frozen=True)
class Seen:
    """That a login was seen."""

    id_hash: str
    user_id: str
    #: When: seconds since 1970.
    at: int


@dataclass(frozen=True)
class RememberedLogin:
    """A login that a remember cookie names."""

    public_id: str
    user_id: str
    secrets: str
    #: When a return by its remember cookie was last written down: seconds since 1970, 0 for never.
    resumed_at: int


@dataclass(frozen=True)
class AttemptCounter:
    """What was counted of attempts."""

    number: int = 0
    #: When: seconds since 1970, the last one last.
    times: tuple[int, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to an account."""

    id: str
    kind: str
    #: `None`: nobody whom the application knows.
    user_id: str | None
    #: Seconds since 1970.
    happened_at: int
    address: str
    browser: str
    #: The public id of the login, or the name of the token, that it is about.
    subject: str | None = None
