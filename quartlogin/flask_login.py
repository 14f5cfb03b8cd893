"""Flask-Login's own formats: its remember cookie, and the fingerprint of a browser that it keeps in the session."""

import hmac
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha512
from typing import Any, Final

from quart import current_app

from .config import former_keys
from .context import current_connection

#: Hashes of browsers that are remembered: half a kilobyte each. To hash anew takes fifteen times as long.
_KEPT: Final = 4096
_LONGEST_KEPT: Final = 512  # characters


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
    keys = [each for each in (_own_key(), *former_keys(current_app)) if each] if key is None else [key]
    given = digest.encode("utf-8", "surrogatepass")  # `compare_digest` takes bytes of any kind, but ASCII text only
    right = [hmac.compare_digest(_digest(payload, each).encode(), given) for each in keys]
    return payload if any(right) else None


def fingerprint() -> str:
    """Return Flask-Login's `_id` for this browser: a hash of its address and of what it calls itself."""
    connection = current_connection()
    return _hash(f"{connection.remote_addr}|{connection.headers.get('User-Agent', '')}")


def older_fingerprints() -> Iterator[str]:
    """Yield what Flask-Login may have kept for this browser; 0.6.3 has bytes in it, as Python shows them."""
    headers = current_connection().headers
    agent = headers.get("User-Agent")
    shown = None if agent is None else agent.encode()
    remote = current_connection().remote_addr
    for address in (_address_in_flask(remote), headers.get("X-Forwarded-For")):
        if address is not None:
            yield _hash(f"{address.encode().split(b',')[0].strip()!r}|{shown!r}")
    yield _hash(f"{_address_in_flask(remote)}|{agent or ''}")


def _address_in_flask(remote: str | None) -> str | None:
    """Return what Flask calls the address that Quart calls this, where a unix socket is between them and a proxy."""
    return "" if remote == "<local>" else remote


def _hash(text: str) -> str:
    return _hash_once(text) if len(text) <= _LONGEST_KEPT else _hash_once.__wrapped__(text)


@lru_cache(_KEPT)
def _hash_once(text: str) -> str:
    return sha512(text.encode("utf-8", "surrogateescape")).hexdigest()


def _digest(payload: str, key: Any) -> str:
    secret = _bytes_of(key) if isinstance(key, str) else key
    return hmac.new(secret, payload.encode("utf-8", "surrogatepass"), sha512).hexdigest()


def _bytes_of(key: str) -> bytes:
    """Encode a key as Flask-Login does, and one that it cannot encode in a way of its own."""
    try:
        return key.encode("latin1")
    except UnicodeEncodeError:
        return key.encode("utf-8")


def _own_key() -> Any:
    return current_app.config["SECRET_KEY"]
