"""The interface for an app that keeps records of its logins."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class Login:
    """A login of a browser or an API token."""

    #: 192 random bits as text. Store a hash of it rather than the id itself.
    id: str
    #: The result of the user's `get_id()`.
    user_id: str
    #: How it is carried: by the session, or as a bearer token.
    kind: Literal["session", "bearer"] = "session"
    #: The remember cookie's secret, `None` if the login is not remembered. Store a hash.
    secret: str | None = None
    #: When it ends at the latest, in seconds since 1970; `None`: with the session.
    expires_at: int | None = None
    #: Whether it is fresh: the password was checked just now.
    is_fresh: bool = False
    #: Whether the browser sent Flask-Login's cookies, so that the login is older than its record.
    is_imported: bool = False
    #: The name of a bearer token.
    name: str | None = None
    #: The user object; `None` where only a cookie is known.
    user: Any = field(default=None, compare=False, repr=False)


class LoginRecords(Protocol):
    """An app's record of its logins, set as `LoginManager.records`.

    Whether a login is still active is decided in the `user_loader`, which gets its id from `login_id()`. Raise
    `LoginRefused` to reject one where it is listed below; any other error is an error of the request.
    """

    async def login_began(self, login: Login) -> None:
        """Called before a login or bearer token is issued. Raise `LoginRefused` to reject it.

        If `login.is_imported`, the user id comes from a cookie and may not exist; then `login_ended` follows.

        Raises:
            LoginRefused: `login_user` returns False.
        """

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        """Called when a browser returns with a remember cookie that carries `login.secret`.

        Args:
            login: The login that the cookie names.
            new_secret: The cookie's next secret; `None` where no cookie can be set, as on a websocket.

        Returns:
            Whether the cookie gets `new_secret`; otherwise it stays as it is. The response may be lost, and requests of
            one browser run concurrently, so accept the old secret for some seconds more.

        Raises:
            LoginRefused: The visitor is anonymous and the cookie is deleted.
        """
        ...

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Called when the password was entered again: the login continues under a new id, and the old id is worthless.

        Raises:
            LoginRefused: The old login has ended; `confirm_login` raises it, and nothing changes.
        """

    async def login_ended(self, login_id: str) -> None:
        """Called when a user signs out, or another user signs in. The id may be unknown or ended already."""


@runtime_checkable
class FreshnessRecords(LoginRecords, Protocol):
    """Records that also keep whether a login is fresh. They decide then, and no session cookie can claim it alone.

    A login is fresh if its session says so, and the records say so too: a session stops being fresh in another browser.
    """

    def fresh_since(self) -> int | None:
        """Return when the login of this request became fresh, in seconds since 1970; `None` if it is not.

        Called after the `user_loader`, which can keep what it has read of the login, such as in `quart.g`.
        """
        ...


def hash_of_secret(secret: str) -> str:
    """Return what `login_secret_hash` returns for a session of this secret: SHA-256, in hex."""
    return sha256(secret.encode()).hexdigest()


class NoRecords:
    """The records of an app that keeps none."""

    async def login_began(self, login: Login) -> None:
        """Do nothing."""

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:  # noqa: ARG002 -- the protocol's names
        """Leave the cookie as it is."""
        return False

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Do nothing."""

    async def login_ended(self, login_id: str) -> None:
        """Do nothing."""
