"""Connections to a PostgreSQL server: to which of several hosts, and how one is given up.

Imported only where such a server is used: asyncpg is an extra.
"""

from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

#: What asyncpg raises when a server does not do what it should, or cannot be found. The third: of several hosts, none
#: is of the kind that `target_session_attrs` asks for.
DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_connect: Final[Any] = asyncpg.connect  # it takes fractions of seconds, though its default looks like whole ones


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection that can be closed when the server is gone: the pool does so beside the requests, and looks away."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- as asyncpg's
        """Close it; one that leads nowhere is dropped after the time."""
        with suppress(*DRIVER_ERRORS):
            await super().close(timeout=timeout)


class Hosts:
    """Connects to the first host of an address that will do.

    asyncpg tries them in turn within one time limit, all of which a host without an answer uses up. Here each has its
    share, and the one that was found last is the first to be tried the next time.

    Args:
        address: Such as `postgresql://user:password@one,two/name`.
    """

    def __init__(self, address: str) -> None:
        self._addresses = one_each(address)

    async def connect(self, _: str, *, timeout: float, **options: Any) -> Any:  # noqa: ASYNC109 -- as asyncpg's pool calls it
        """Connect; the errors are those of the host that was tried last.

        Args:
            timeout: Seconds for all hosts together.
            options: What `asyncpg.connect` takes besides.
        """
        share = timeout / len(self._addresses)
        *others, last = list(self._addresses)
        for address in others:
            try:
                return self._found(address, await _connect(address, timeout=share, **options))
            except DRIVER_ERRORS:
                continue
        return self._found(last, await _connect(last, timeout=share, **options))

    def _found(self, address: str, connection: Any) -> Any:
        self._addresses.sort(key=lambda other: other != address)
        return connection


def one_each(address: str) -> list[str]:
    """Return an address for each host that stands between `@` and `/`."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return [address]  # asyncpg says what is wrong with it
    who, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [address]
    return [parts._replace(netloc=f"{who}{at}{host}").geturl() for host in hosts.split(",")]
