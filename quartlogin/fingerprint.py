"""Browser fingerprints as Flask-Login keeps them in the session: a hash of the address and the user agent."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha512
from typing import Final

from .context import current_connection

#: Cached hashes: at most a kilobyte each. Hashing anew takes fifteen times as long.
_KEPT: Final = 4096
_MAX_CACHED: Final = 512  # characters


def fingerprint() -> str:
    """Return Flask-Login's `_id` for this browser: a hash of its address and user agent."""
    connection = current_connection()
    return _hash(f"{connection.remote_addr}|{connection.headers.get('User-Agent', '')}")


def older_fingerprints() -> Iterator[str]:
    """Yield what Flask-Login may have stored for this browser; in 0.6.3 it contains the repr of bytes."""
    headers = current_connection().headers
    agent = headers.get("User-Agent")
    shown = None if agent is None else agent.encode()
    remote = current_connection().remote_addr
    for address in (_address_in_flask(remote), headers.get("X-Forwarded-For")):
        if address is not None:
            yield _hash(f"{address.encode().split(b',')[0].strip()!r}|{shown!r}")
    yield _hash(f"{_address_in_flask(remote)}|{agent or ''}")


def _address_in_flask(remote: str | None) -> str | None:
    """Return Flask's name for an address, which differs from Quart's behind a unix socket."""
    return "" if remote == "<local>" else remote


def _hash(text: str) -> str:
    return _hash_once(text) if len(text) <= _MAX_CACHED else _hash_once.__wrapped__(text)


@lru_cache(_KEPT)
def _hash_once(text: str) -> str:
    return sha512(text.encode("utf-8", "surrogateescape")).hexdigest()
