"""Fingerprints of browsers, as Flask-Login keeps them in the session: a hash of an address and a user agent."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha512
from typing import Final

from .context import current_connection

#: Hashes of browsers that are remembered: at most a kilobyte each. To hash anew takes fifteen times as long.
_KEPT: Final = 4096
_LONGEST_KEPT: Final = 512  # characters


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
