"""The registry of open websockets, which end when their login does."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from logging import getLogger
from typing import Any, Final, cast

from ..context import current_connection, in_own_app_context
from ..records import Login, hash_of_secret
from ..request_state import state_of_request
from ..user import require_bool

#: The reasons for closing a websocket: a code (RFC 6455, 7.4.1) and a text.
_LOGIN_ENDED: Final = (1008, "The login has ended.")
_GOING_AWAY: Final = (1001, "The server is stopping.")
_GRACE: Final = 1  # second for a handler to clean up
_RENEWAL: Final = 0.5  # seconds in which `confirm_login` has given the sockets of a login its new id
_PATIENCE: Final = 5  # seconds for a client to confirm
_MEMORY: Final = 60  # seconds; longer than a handshake takes

_log = getLogger(__name__)


class WebSocketRegistry:
    """The websockets that this process holds open, by the id of their login."""

    def __init__(self) -> None:
        self._by_login: defaultdict[str, set[_OpenSocket]] = defaultdict(set)
        #: The logins that ended recently, and when: a websocket's user may have been loaded just before.
        self._ended: dict[str, float] = {}
        #: The tasks whose websocket is registered until they end.
        self._holding: set[asyncio.Task[Any]] = set()

    async def serve(self, handler: Callable[[], Awaitable[Any]], ask_again_every: timedelta | None) -> Any:
        """Run a websocket's handler, or a step of it, for as long as its login lasts.

        From then on the websocket belongs to its login, even if the function was not the handler itself but a
        `before_websocket` function or a step of the handler: it stays registered until its task ends.

        Args:
            handler: The handler; its value is returned.
            ask_again_every: How often the user is loaded again, which detects a login that another process has ended;
                `None` for never.
        """
        socket = self.register(ask_again_every, is_wrapped=True)
        value = None
        try:
            value = await handler()
        except BaseException:
            self.unregister(socket)
            if not socket.is_ended:
                raise
            socket.come_to_rest()
        else:
            self._keep(socket)
        await socket.say_why()
        return value

    def register(self, ask_again_every: timedelta | None, *, is_wrapped: bool = False) -> "_OpenSocket":
        """Register the websocket that this task handles, so that it ends with its login.

        Args:
            ask_again_every: As for `serve`.
            is_wrapped: Whether the caller closes the websocket when its handler is stopped, as `serve` does.
        """
        socket = _OpenSocket(self, is_wrapped=is_wrapped)
        if socket.login is not None:
            self._by_login[socket.login].add(socket)
        if not is_wrapped:
            self._holding.add(socket.task)
        if ask_again_every is not None:
            socket.watch(ask_again_every)
        if socket.login in self._ended:
            socket.end()
        return socket

    def _keep(self, socket: "_OpenSocket") -> None:
        """Keep a websocket registered, once for its task: a handler may run a guarded step for each message."""
        if socket.task in self._holding:
            self.unregister(socket)
        else:
            self._holding.add(socket.task)
            socket.is_wrapped = False

    def count(self) -> int:
        """Return how many websockets of logins are open; any thread may call this."""
        return sum(map(len, list(self._by_login.values())))

    def close(self, login: str) -> None:
        """Stop the handlers of a login that has ended, and close their websockets in the background."""
        now = time.monotonic()
        self._ended[login] = now
        while now - next(iter(self._ended.values())) > _MEMORY:
            del self._ended[next(iter(self._ended))]
        for socket in list(self._by_login.get(login, ())):
            socket.end()

    def close_where(self, has_ended: Callable[[str], bool]) -> None:
        """Stop the handlers of all logins that have ended, where only the app's record knows which.

        Args:
            has_ended: Called with the id of each login that has a websocket open in this process.
        """
        for login in [login for login in self._by_login if has_ended(login)]:
            self.close(login)

    def close_all(self) -> None:
        """Stop every handler before the server stops, since some servers wait for open websockets."""
        for sockets in list(self._by_login.values()):
            for socket in list(sockets):
                socket.end(_GOING_AWAY)

    def rebind(self, old: str | None, new: Login, came_with: str | None) -> None:
        """Move the websockets of a login to its new id and secret.

        Args:
            old: Its old id.
            new: The login under its new id.
            came_with: The hash of the secret of the session that continues. A websocket with another one may belong to
                a browser with a copy of a former cookie: it ends.
        """
        secret_hash = None if new.secret is None else hash_of_secret(new.secret)
        for socket in self._by_login.pop(old or "", ()):
            self._by_login[new.id].add(socket)
            is_sessions = socket.came_with == came_with
            socket.go_on_as(new.id, secret_hash)
            if not is_sessions:
                socket.end()

    def forget_task(self, task: asyncio.Task[Any]) -> None:
        """Forget a task that has ended."""
        self._holding.discard(task)

    def unregister(self, socket: "_OpenSocket") -> None:
        """Forget a websocket whose handler has ended."""
        socket.rest()
        if socket.login is not None and socket.login in self._by_login:
            self._by_login[socket.login].discard(socket)
            if not self._by_login[socket.login]:
                del self._by_login[socket.login]


class _OpenSocket:
    """An open websocket and the task that handles it, which is the one that creates this."""

    def __init__(self, among: WebSocketRegistry, *, is_wrapped: bool) -> None:
        self._state = state_of_request()
        self.login = None if self._state is None else self._state.login_id
        #: The hash of the secret of its remember cookie, `None` without one.
        self.came_with = None if self._state is None else self._state.secret_hash
        self.is_ended = False
        self.is_wrapped = is_wrapped
        self._closing: asyncio.Task[None] | None = None
        self._why = _LOGIN_ENDED
        self._connection = current_connection()
        self._loop = asyncio.get_running_loop()
        self.task: asyncio.Task[Any] = cast("asyncio.Task[Any]", asyncio.current_task())
        self._watcher: asyncio.Task[None] | None = None
        self._helpers: set[asyncio.Task[None]] = set()
        self._forget_when_done = lambda _: self._forget(among)
        self.task.add_done_callback(self._forget_when_done)

    def go_on_as(self, login: str, secret_hash: str | None) -> None:
        """Belong to the same login under its new id and remember cookie."""
        self.login, self.came_with = login, secret_hash
        if self._state is not None:
            self._state.login_id, self._state.secret_hash = login, secret_hash

    def watch(self, every: timedelta) -> None:
        """Load the user repeatedly, and end the socket when the login is no longer active."""
        self._watcher = self._start(self._ask_again(every))

    def rest(self) -> None:
        """Stop loading the user, and leave nothing behind in a task that continues."""
        if self._watcher is not None:
            self._watcher.cancel()
        if not self.is_ended:
            self.task.remove_done_callback(self._forget_when_done)

    def end(self, why: tuple[int, str] = _LOGIN_ENDED) -> None:
        """Stop the handler and close the websocket with this code and text."""
        if not self.is_ended:
            self.is_ended, self._why = True, why
            self._loop.call_soon_threadsafe(self._start, self._stop())

    def come_to_rest(self) -> None:
        """Let the handler's task continue after it was stopped, to close the websocket."""
        self.task.uncancel()
        _log.debug("A websocket's handler was stopped, since its login has ended.", exc_info=True)

    async def say_why(self) -> None:
        """Close the websocket with the reason, if its client does not know it yet."""
        if self.is_ended:
            self._closing = self._closing or self._loop.create_task(self._close())
            await asyncio.shield(self._closing)

    async def _stop(self) -> None:
        if self.is_wrapped:
            self.task.cancel()  # immediately: no further message is handled
            await asyncio.sleep(_GRACE)  # by then it has cleaned up and closed the websocket, or never will
            await self.say_why()
        else:
            await self.say_why()  # first: Quart closes a websocket of a cancelled handler with another code
            if not self.task.cancelling():  # Quart may have been faster
                self.task.cancel()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._connection.close(*self._why)
        except Exception:  # a client that does not read, or is gone
            _log.debug("A websocket could not be closed in order.", exc_info=True)

    async def _ask_again(self, every: timedelta) -> None:
        while not self.is_ended:
            await asyncio.sleep(every.total_seconds())
            if await self._still_counts():
                continue
            # The login may be continuing under a new id, which the record knows before its sockets do.
            await asyncio.sleep(_RENEWAL)
            if not await self._still_counts():
                self.end()

    async def _still_counts(self) -> bool:
        if self._state is None or self._state.reload_user is None:
            return True
        try:
            user = await _look_up(self._state.reload_user)
        except Exception:  # such as an unavailable database, which signs no one out
            _log.warning("The user of an open websocket could not be looked up again.", exc_info=True)
            return True
        return user is not None and require_bool(user, "is_authenticated")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        helper = self._loop.create_task(work)
        self._helpers.add(helper)
        helper.add_done_callback(self._helpers.discard)
        return helper

    def _forget(self, among: WebSocketRegistry) -> None:
        among.forget_task(self.task)
        among.unregister(self)
        for helper in self._helpers:
            helper.cancel()


async def _look_up(user: Callable[[], Awaitable[Any]]) -> Any:
    """Load a user again where nothing answers from the handler's cache, as a database session in `g` would."""
    try:
        return await asyncio.create_task(in_own_app_context(user))
    except AttributeError:  # the loader uses what a `before_websocket` function has put into the handler's `g`
        return await user()
