"""What is wrong with a signed cookie, for tracing: never its contents."""

import time
from dataclasses import dataclass
from functools import lru_cache
from hmac import compare_digest
from typing import Any, Final

from itsdangerous import BadData, BadSignature, TimestampSigner, URLSafeTimedSerializer

from .. import tracing
from ..config import session_lifetime
from ..context import current_connection, running_app

#: Where a connection keeps that its session cookie was told.
_TOLD: Final = "_quartlogin_told_cookie"
#: Cookies with a valid signature, each of at most 4 kB.
_REMEMBERED: Final = 1024
LONGEST_COOKIE: Final = 4096  # characters; browsers keep no longer one (RFC 6265bis, 5.6)


@dataclass(frozen=True, slots=True)
class CookieFacts:
    """What can be said of a cookie without its contents."""

    #: "none", "too long", "bad signature", "other interface" for Flask's or Quart's own, "expired", "from the future",
    #: "malformed", "kept on the server", or "valid".
    outcome: str
    #: Characters.
    length: int = 0
    #: Seconds since it was signed; negative for one from the future.
    age: int | None = None
    #: "current", or "former" for one of `SECRET_KEY_FALLBACKS`.
    key: str | None = None


def inspect(serializer: URLSafeTimedSerializer, text: str | None, max_age: int) -> CookieFacts:
    """Find out what is wrong with a cookie.

    Args:
        serializer: The serializer that signs such cookies.
        text: The cookie's value, `None` if there is none.
        max_age: How long it is valid, in seconds.
    """
    if text is None:
        return CookieFacts("none")
    if len(text) > LONGEST_COOKIE:
        return CookieFacts("too long", len(text))
    signer: Any = serializer.make_signer(serializer.salt)
    if not isinstance(signer, TimestampSigner):
        return CookieFacts("valid" if signer.validate(text) else "bad signature", len(text))
    try:
        signed_at, key, is_session = _verify(serializer, text)
    except (BadSignature, ValueError, OverflowError):
        return CookieFacts("bad signature", len(text))
    age = int(time.time() - signed_at)
    outcome = "valid" if is_session else "malformed"
    if not 0 <= age <= max_age:
        outcome = "expired" if age > 0 else "from the future"
    return CookieFacts(outcome, len(text), age, key)


def tell_session_cookie(name: str, facts: CookieFacts) -> None:
    """Tell what was found out about the session cookie."""
    vars(current_connection())[_TOLD] = True
    tracing.tell(
        "session_cookie", cookie=name, outcome=facts.outcome, length=facts.length, age=facts.age, key=facts.key
    )


@tracing.harmless
def tell_other_interfaces_cookie() -> None:
    """Tell what can be found out about the session cookie of another interface than ours, once in a request."""
    app, connection = running_app(), current_connection()
    if _TOLD in vars(connection):
        return
    interface: Any = app.session_interface
    name = interface.get_cookie_name(app) if hasattr(interface, "get_cookie_name") else "session"
    make_serializer = getattr(interface, "get_signing_serializer", None)
    serializer = None if make_serializer is None else make_serializer(app)
    text = connection.cookies.get(name)
    kept = CookieFacts("none" if text is None else "kept on the server")
    tell_session_cookie(name, kept if serializer is None else inspect(serializer, text, session_lifetime(app)))


@lru_cache(_REMEMBERED)
def _verify(serializer: URLSafeTimedSerializer, text: str) -> tuple[float, str, bool]:
    """Return when a cookie was signed, with which key, and whether it contains a session.

    A browser sends the same cookie with each request, so one with a valid signature is verified once. It was a third of
    what listening cost.
    """
    signer: Any = serializer.make_signer(serializer.salt)
    payload, signed_at = signer.unsign(text, return_timestamp=True)
    return signed_at.timestamp(), _key_of(serializer, text), _is_session(serializer, payload)


def _key_of(serializer: URLSafeTimedSerializer, text: str) -> str:
    signed, _, signature = text.rpartition(".")
    newest = serializer.make_signer(serializer.salt).get_signature(signed)
    return "current" if compare_digest(newest, signature.encode()) else "former"


def _is_session(serializer: URLSafeTimedSerializer, payload: Any) -> bool:
    try:
        return isinstance(serializer.load_payload(payload), dict)
    except (BadData, ValueError, TypeError, RecursionError, KeyError, AttributeError):
        return False
