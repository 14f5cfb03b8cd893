"""Open websockets, which end when their login does."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from logging import getLogger
from typing import Any, Final, cast

from .connection import current_connection
from .identity import find_user
from .state import UserState, login_id
from .user import answers

_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1
_REASON: Final = "The login has ended."
_PATIENCE: Final = 5  # seconds for a client to take note

_log = getLogger(__name__)


class OpenSockets:
    """The websockets that this process holds open, by the id of their login."""

    def __init__(self) -> None:
        self._by_login: defaultdict[str, set[_OpenSocket]] = defaultdict(set)

    async def serve(self, handler: Callable[[], Awaitable[Any]], ask_again_every: timedelta | None) -> Any:
        """Run a websocket's handler for as long as its login lasts.

        Args:
            handler: The handler; its value is returned.
            ask_again_every: How often the user is looked up again, which is how a login that another process has
                ended is noticed; `None` for never.
        """
        socket = _OpenSocket()
        with self._held(login_id(), socket):
            watcher = None if ask_again_every is None else asyncio.create_task(_watch(socket, ask_again_every))
            try:
                return await handler()
            except asyncio.CancelledError:
                if not socket.is_ended:
                    raise
                await socket.say_why()
                return None
            finally:
                if watcher is not None:
                    watcher.cancel()

    def close(self, login: str) -> None:
        """Stop the handlers of a login that has ended; each closes its websocket. Nobody has to wait for that."""
        for socket in list(self._by_login.get(login, ())):
            socket.end()

    def rename(self, old: str | None, new: str) -> None:
        """Keep the websockets of a login that goes on under a new id."""
        if old is not None and old in self._by_login:
            self._by_login[new] |= self._by_login.pop(old)

    @contextmanager
    def _held(self, login: str | None, socket: "_OpenSocket") -> Iterator[None]:
        if login is not None:
            self._by_login[login].add(socket)
        try:
            yield
        finally:
            for name in [name for name, sockets in self._by_login.items() if socket in sockets]:
                self._by_login[name].discard(socket)
                if not self._by_login[name]:
                    del self._by_login[name]


class _OpenSocket:
    """One open websocket and the task that handles it, which is the one that makes this."""

    def __init__(self) -> None:
        self._connection = current_connection()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] = cast("asyncio.Task[Any]", asyncio.current_task())
        self.is_ended = False

    def end(self) -> None:
        """Stop the handler: not one more message is handled."""
        if not self.is_ended:
            self.is_ended = True
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def say_why(self) -> None:
        """Close the websocket, from the handler's task after it was stopped."""
        self._task.uncancel()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._connection.close(_POLICY_VIOLATION, _REASON)
        except Exception:  # a client that does not read, or is gone
            _log.debug("A websocket could not be closed in order.", exc_info=True)


async def _watch(socket: _OpenSocket, every: timedelta) -> None:
    """Look the user up again and again, and end the socket when the login counts no more."""
    while not socket.is_ended:
        await asyncio.sleep(every.total_seconds())
        if not await _still_counts():
            socket.end()


async def _still_counts() -> bool:
    try:
        user = await find_user(UserState(asyncio.get_running_loop()))
    except Exception:  # the database is down, say: nobody is signed out by that
        _log.warning("The user of an open websocket could not be looked up again.", exc_info=True)
        return True
    return answers(user, "is_authenticated")
