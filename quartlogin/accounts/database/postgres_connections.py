"""Connections to a PostgreSQL server: the choice among several hosts, and closing broken connections.

Imported only where PostgreSQL is used: asyncpg is an extra.
"""

from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

#: asyncpg's errors when a server misbehaves or cannot be found. The third: none of several hosts matches
#: `target_session_attrs`.
DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_connect: Final[Any] = asyncpg.connect  # accepts fractions of seconds, though typed as whole ones


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection that can be closed when the server is gone: the pool closes it in the background, unobserved."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- as asyncpg's
        """Close it; drop it after the timeout if the server does not respond."""
        with suppress(*DRIVER_ERRORS):
            await super().close(timeout=timeout)


class Hosts:
    """Connects to the first suitable host of an address.

    asyncpg tries them in turn within one time limit, which an unresponsive host uses up. Here each has its share, and
    the host that was found last is tried first the next time.

    Args:
        address: Such as `postgresql://user:password@one,two/name`.
    """

    def __init__(self, address: str) -> None:
        self._addresses = one_each(address)

    async def connect(self, _: str, *, timeout: float, **options: Any) -> Any:  # noqa: ASYNC109 -- as asyncpg's pool calls it
        """Connect; the errors are those of the last host.

        Args:
            timeout: Seconds for all hosts together.
            options: Further arguments of `asyncpg.connect`.
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
    """Return one address for each host between `@` and `/`."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return [address]  # asyncpg reports what is wrong with it
    userinfo, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [address]
    return [parts._replace(netloc=f"{userinfo}{at}{host}").geturl() for host in hosts.split(",")]
