"""What an app is told about logins, if it wants to keep a record of them."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Login:
    """One login: a browser's, or an API token's."""

    #: 192 random bits as text. Keep a hash of it rather than the id itself.
    id: str
    #: What the user's `get_id()` gave.
    user_id: str
    #: How it is carried: in the session, or as a bearer token.
    kind: Literal["session", "bearer"] = "session"
    #: The remember cookie's secret, `None` if the login is not remembered. Keep a hash.
    secret: str | None = None
    #: When it ends at the latest, in seconds since 1970; `None`: with the session.
    expires_at: int | None = None
    #: Whether the browser came with Flask-Login's cookies, so that the login is older than its record.
    is_imported: bool = False
    #: What a bearer token was called when it was made.
    name: str | None = None
    #: The user object that was signed in; `None` where all that is known comes from a cookie.
    user: Any = field(default=None, compare=False, repr=False)


class LoginRecords(Protocol):
    """An app's record of its logins, set as `LoginManager.records`.

    Whether a login goes on is asked in the `user_loader`, which finds its id in `login_id()`. `LoginRefused` says no
    where it is named below; any other error is an error of the request.
    """

    async def login_began(self, login: Login) -> None:
        """Somebody has signed in, or got a bearer token, and nothing is written yet: the last word is yours.

        Where `login.is_imported`, the user id comes from a cookie and may name nobody; then `login_ended` follows.

        Raises:
            LoginRefused: `login_user` returns False.
        """

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        """A browser came back with a remember cookie that carries `login.secret`.

        Args:
            login: What the cookie says.
            new_secret: What it may say from now on; `None` where no cookie can be set, as on a websocket.

        Returns:
            Whether the cookie is to carry `new_secret`; otherwise it stays as it is. The answer may be lost on its way,
            and requests of one browser run side by side, so let the old secret count for some seconds more.

        Raises:
            LoginRefused: The visitor is anonymous and the cookie is deleted.
        """
        ...

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """The password was typed again: the login goes on under a new id, and the old id is worth nothing.

        Raises:
            LoginRefused: The old login has ended; `confirm_login` raises it, and nothing changes.
        """

    async def login_ended(self, login_id: str) -> None:
        """Somebody has signed out, or in as somebody else. The id may be unknown or ended already."""


def hash_of_secret(secret: str) -> str:
    """Return what `login_secret_hash` gives for a session that came with this secret: SHA-256, in hex."""
    return sha256(secret.encode()).hexdigest()


class NoRecords:
    """What an app without a record of its logins is told: nothing."""

    async def login_began(self, login: Login) -> None:
        """Do nothing."""

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:  # noqa: ARG002 -- the protocol's names
        """Leave the cookie as it is."""
        return False

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Do nothing."""

    async def login_ended(self, login_id: str) -> None:
        """Do nothing."""
