"""What a remember cookie and a bearer token say, signed and dated by quart-auth."""

import json
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from itsdangerous import BadData
from quart import current_app
from quart_auth import QuartAuth

from .config import former_keys
from .connection import current_connection
from .unpacking import SparingSerializer

Purpose = Literal["remember", "bearer"]

_LONGEST: Final = 4096  # characters; no browser keeps a longer cookie
_ANY_AGE: Final = 10**10  # seconds: the token says itself when it expires, but one from the future is refused


@dataclass(frozen=True)
class Token:
    """A login, as a remember cookie or a bearer token names it."""

    user_id: str
    login_id: str
    #: Seconds since 1970.
    expires_at: int
    #: What only the last remember cookie of this login carries; `None` where the app keeps no records.
    secret: str | None = None
    #: For how long the login is remembered in all, if it was given a time of its own.
    seconds: int | None = None


class _Serializer(SparingSerializer, QuartAuth.serializer_class):  # type: ignore[misc,valid-type]  # its name is private
    """quart-auth's serializer, sparing."""


def bearer_token() -> str | None:
    """Return the token of an `Authorization: Bearer` header (RFC 6750), `None` if the request has none."""
    headers = current_connection().headers.getlist("Authorization")  # `get` takes twice as long where there is none
    if not headers:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def dump(purpose: Purpose, token: Token) -> str:
    """Sign a token with the app's present secret key."""
    payload = [token.user_id, token.login_id, token.expires_at, token.secret, token.seconds]
    return _signer(purpose).dump_token(json.dumps(payload, separators=(",", ":")))


def load(purpose: Purpose, text: str) -> Token | None:
    """Read a token signed with the present secret key or a former one.

    Returns:
        `None` if there is anything wrong with it: the signature, the purpose, the form, or the time.
    """
    if len(text) > _LONGEST:
        return None
    try:
        payload = _signer(purpose).load_token(text)
        token = None if payload is None else _parse(json.loads(payload))
    except (BadData, ValueError, TypeError, RecursionError):
        return None
    return token if token is not None and token.expires_at > time.time() else None


def _parse(payload: Any) -> Token | None:
    match payload:
        case [str(user_id), str(login_id), int(expires_at), str() | None as secret, int() | None as seconds]:
            return Token(user_id, login_id, expires_at, secret, seconds)
    return None


def _signer(purpose: Purpose) -> QuartAuth:
    """Make quart-auth's signer for one purpose of this app: its salt keeps tokens apart (ASVS 5.0 9.2.2, 9.2.3)."""
    former_keys(current_app)  # quart-auth would take each letter of a text for a key
    return QuartAuth(
        attribute_name=f"_quartlogin_{purpose}",
        cookie_name=f"quartlogin_{purpose}",
        duration=_ANY_AGE,
        salt=f"quartlogin {purpose} token of {current_app.name}",
        serializer_class=_Serializer,
        singleton=False,
    )
