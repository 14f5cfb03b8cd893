"""Flask-Login's own remember cookie."""

import hmac
from hashlib import sha512
from typing import Any

from quart import current_app

from .config import fallback_keys


def encode_cookie(payload: str, key: str | bytes | None = None) -> str:
    """Sign text in the format of Flask-Login's remember cookie.

    Args:
        payload: The text.
        key: The key; the app's `SECRET_KEY` if `None`.
    """
    return f"{payload}|{_digest(payload, _own_key() if key is None else key)}"


def decode_cookie(cookie: str, key: str | bytes | None = None) -> str | None:
    """Return the text that `encode_cookie`, or Flask-Login, has signed; `None` if the signature is wrong.

    Args:
        cookie: The cookie's value.
        key: The key; the app's `SECRET_KEY` and `SECRET_KEY_FALLBACKS` if `None`.
    """
    payload, bar, digest = cookie.rpartition("|")
    if not bar:
        return None
    keys = [each for each in (_own_key(), *fallback_keys(current_app)) if each] if key is None else [key]
    given = digest.encode("utf-8", "surrogatepass")  # `compare_digest` takes bytes of any kind, but ASCII text only
    right = [hmac.compare_digest(_digest(payload, each).encode(), given) for each in keys]
    return payload if any(right) else None


def _digest(payload: str, key: Any) -> str:
    secret = _bytes_of(key) if isinstance(key, str) else key
    return hmac.new(secret, payload.encode("utf-8", "surrogatepass"), sha512).hexdigest()


def _bytes_of(key: str) -> bytes:
    """Encode a key as Flask-Login does; one that it cannot encode, with surrogates."""
    try:
        return key.encode("latin1")
    except UnicodeEncodeError:
        return key.encode("utf-8")


def _own_key() -> Any:
    return current_app.config["SECRET_KEY"]
