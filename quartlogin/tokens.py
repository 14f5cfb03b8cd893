"""Tokens: the contents of remember cookies and bearer tokens, signed and dated by quart-auth."""

import json
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from itsdangerous import BadData, BadSignature
from quart_auth import QuartAuth

from .config import fallback_keys
from .context import current_connection, current_manager, running_app
from .errors import ConfigurationError
from .sessions.login_session import text_of
from .sessions.serializer import SizeLimitedSerializer

Purpose = Literal["remember", "bearer"]

_LONGEST: Final = 4096  # characters; browsers keep no longer cookie
_LATEST: Final = 10**11  # seconds since 1970: the year 5138; from 10,000 on there are no dates
_ANY_AGE: Final = 10**10  # seconds: a token contains its expiry, but one from the future is rejected


@dataclass(frozen=True)
class Token:
    """A login, as a remember cookie or a bearer token names it."""

    user_id: str
    login_id: str
    #: Seconds since 1970.
    expires_at: int
    #: The secret that only the last remember cookie of this login carries; `None` where the app keeps no records.
    secret: str | None = None
    #: How long the login is remembered in all, if it has its own duration.
    seconds: int | None = None


@dataclass(frozen=True)
class Credential:
    """A remember cookie or a bearer token of a request."""

    text: str
    #: Whether this app has signed it for this purpose, with a key that is still accepted; it may have expired since.
    is_ours: bool
    #: Its contents; `None` if it is not, or no longer, valid.
    token: Token | None


class _Serializer(SizeLimitedSerializer, QuartAuth.serializer_class):  # type: ignore[misc,valid-type]  # its name is private
    """quart-auth's serializer, limited in size."""


def bearer_token() -> str | None:
    """Return the token of an `Authorization: Bearer` header (RFC 6750), `None` if the request has none."""
    headers = current_connection().headers.getlist("Authorization")  # `get` takes twice as long where there is none
    if not headers:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def dump(purpose: Purpose, token: Token) -> str:
    """Sign a token with the app's current secret key."""
    payload = [token.user_id, token.login_id, token.expires_at, token.secret, token.seconds]
    signed: str = _serializer(purpose).dumps(json.dumps(payload, separators=(",", ":")))
    return signed


def read(purpose: Purpose, text: str) -> Credential:
    """Read a token and its contents.

    A token is ours if its signature is: made for this purpose with the current secret key or a former one.
    """
    if len(text) > _LONGEST or not running_app().secret_key:
        return Credential(text, is_ours=False, token=None)
    serializer = _serializer(purpose)
    try:
        payload, signed_at = serializer.make_signer(serializer.salt).unsign(text, return_timestamp=True)
    except (BadSignature, ValueError, OverflowError):  # such as invalid base64, or a date out of range
        return Credential(text, is_ours=False, token=None)
    token = _parse(serializer, payload)
    now = time.time()
    counts = token is not None and signed_at.timestamp() <= now < token.expires_at
    return Credential(text, is_ours=True, token=token if counts else None)


def load(purpose: Purpose, text: str) -> Token | None:
    """Return the contents of a token, `None` if anything is wrong: signature, purpose, form, or time."""
    return read(purpose, text).token


def check_secret_key(what: str) -> None:
    """Raise an error if the app cannot sign.

    Args:
        what: What needs a signature, as the beginning of a sentence.

    Raises:
        ConfigurationError: The app has no secret key.
    """
    if not running_app().secret_key:
        raise ConfigurationError(f"{what} needs a SECRET_KEY to be signed with, and the app has none.")


def _parse(serializer: Any, payload: bytes) -> Token | None:
    try:
        contents = json.loads(serializer.load_payload(payload))
    except (BadData, ValueError, TypeError, RecursionError):
        return None
    match contents:
        case [str(user_id), str(login_id), int(expires_at), str() | None as secret, int() | None as seconds]:
            token = Token(user_id, login_id, expires_at, secret, seconds)
            return token if _can_be(token) else None
    return None


def _can_be(token: Token) -> bool:
    """Tell whether a token of ours can have these contents: signed data may still be any text and any number."""
    texts = [text for text in (token.user_id, token.login_id, token.secret) if text is not None]
    numbers = [number for number in (token.expires_at, token.seconds) if number is not None]
    return all(text_of(text) is not None for text in texts) and all(abs(number) <= _LATEST for number in numbers)


def _serializer(purpose: Purpose) -> Any:
    """Make quart-auth's serializer for one purpose, with the app's keys; the last one signs."""
    app, signer = running_app(), _signer(purpose)
    keys: list[Any] = [*fallback_keys(app), app.secret_key]
    return signer.serializer_class(keys, signer.salt or "")


def _signer(purpose: Purpose) -> QuartAuth:
    """Make quart-auth's signer for one purpose and audience: its salt keeps tokens apart (ASVS 5.0 9.2.2, 9.2.3)."""
    audience = current_manager().audience or running_app().name
    return QuartAuth(
        attribute_name=f"_quartlogin_{purpose}",
        cookie_name=f"quartlogin_{purpose}",
        salt=f"quartlogin {purpose} token of {audience}",
        serializer_class=_Serializer,
        singleton=False,
    )
