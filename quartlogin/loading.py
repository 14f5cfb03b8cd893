"""How a request comes to know its user: at most once, whoever asks and however many tasks ask.

What is known is kept on the request or websocket object itself. `g` would not do: requests served inside one
app context share it, and a copied context may get a new one.
"""

import asyncio
from contextvars import ContextVar
from typing import Any, Final

from quart import has_request_context, has_websocket_context, request, websocket

from . import session, signals
from .errors import UserNotLoadedError
from .extension import current_manager

_ATTRIBUTE: Final = "_quartlogin_state"
_UNKNOWN: Final[Any] = object()

#: The state whose loader is running in this task, or in a task or thread that the loader started.
_inside_loader: ContextVar["UserState | None"] = ContextVar("quartlogin_inside_loader", default=None)


class UserState:
    """What one request or websocket knows about its user."""

    __slots__ = ("_user", "answered", "error", "looked", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        #: The loop that serves this request; threads send their questions there.
        self.loop = loop
        #: The error that the loader raised, if it did.
        self.error: Exception | None = None
        #: Whether anything asked who the user is, so that the answer depends on it.
        self.looked = False
        #: Whether the headers of the answer are decided, as while a body is streamed.
        self.answered = False
        #: Set as soon as the load that is running now has ended.
        self.running: asyncio.Event | None = None
        self._user: Any = _UNKNOWN

    @property
    def is_known(self) -> bool:
        """Whether the user, be it the anonymous one, is known."""
        return self._user is not _UNKNOWN

    @property
    def user(self) -> Any:
        """The user; ask `is_known` first."""
        return self._user

    def set_user(self, user: Any) -> None:
        """Settle who the user is, as a login and a logout do; also while a load is running."""
        self._user = user
        self.error = None
        self.looked = True

    async def load(self) -> Any:
        """Return the user, asking the loader if nobody in this request has done so yet.

        Whoever comes first runs the loader in its own task; the others wait. If the first is cancelled, the
        next one takes over.

        Raises:
            UserNotLoadedError: The loader itself asked.
            Exception: Whatever the loader raised, the same again for everybody.
        """
        while not self.is_known:
            if self.error is not None:
                raise self.error
            if _inside_loader.get() is self:
                raise UserNotLoadedError(
                    "The user_loader asked for current_user, which is what it is there to find out: "
                    "use the id that it was called with."
                )
            if self.running is None:
                await self._run_loader()
            else:
                await self.running.wait()
        return self._user

    async def _run_loader(self) -> None:
        self.running = asyncio.Event()
        token = _inside_loader.set(self)
        try:
            found = await _find_user()
            if not self.is_known:  # a login or logout that came meanwhile has the last word
                self._user = found
        except Exception as error:
            if not self.is_known:
                self.error = error
        finally:
            _inside_loader.reset(token)
            self.running.set()
            self.running = None
        if self.is_known:
            await signals.send(signals.user_accessed)


async def _find_user() -> Any:
    """Ask who sent this request. A session without a user id is not worth a question."""
    manager = current_manager()
    user_id = session.user_id()
    user = None if user_id is None else await manager.load_user(user_id)
    return manager.anonymous_user() if user is None else user


def state_of_request() -> UserState | None:
    """Return what the running request or websocket knows about its user, `None` outside of both."""
    if has_request_context():
        holder: Any = request
    elif has_websocket_context():
        holder = websocket
    else:
        return None
    # The object behind the proxy: it is the same in every task and copied context of this request.
    attributes = vars(holder._get_current_object())
    state: UserState | None = attributes.get(_ATTRIBUTE)
    if state is None:
        state = attributes[_ATTRIBUTE] = UserState(_running_loop())
    return state


async def note_loop() -> None:
    """Remember which loop serves this request, for the threads that it may start."""
    state_of_request()


async def load_user() -> Any:
    """Return the user of this request: the real object, never a proxy; `None` outside a request.

    Raises:
        UserNotLoadedError: The loader itself asked.
        Exception: Whatever the loader raised.
    """
    state = state_of_request()
    if state is None:
        return None
    state.looked = True
    if state.is_known:
        return state.user
    if state.loop is not None and state.loop is not asyncio.get_running_loop():
        # A thread with a loop of its own, as `template.render()` in a `def` view makes one.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(state.load(), state.loop))
    return await state.load()


def user_now() -> Any:
    """Return the user without waiting: known already, or loaded on the request's loop if this is a thread.

    Raises:
        UserNotLoadedError: This is a coroutine, and nothing has loaded the user yet.
        Exception: Whatever the loader raised, when this is a thread.
    """
    state = state_of_request()
    if state is None:
        return None
    if state.is_known:
        state.looked = True
        return state.user
    if state.loop is None or _running_loop() is not None:
        raise UserNotLoadedError(
            "current_user is not loaded yet in this request. Write `user = await current_user` before its "
            "attributes are used, or put @login_required on the view."
        )
    state.looked = True
    return asyncio.run_coroutine_threadsafe(state.load(), state.loop).result()


async def user_for_template() -> Any:
    """Return the user for a template.

    After a loader that failed, this is the anonymous user, so that an error page can be drawn.

    Raises:
        UserNotLoadedError: The answer's headers are sent already, so they can no longer say that it is private.
        Exception: Whatever the loader raised, to the template that asked first.
    """
    state = state_of_request()
    if state is not None:
        if state.error is not None:
            return current_manager().anonymous_user()
        if state.answered and not state.looked:
            raise UserNotLoadedError(
                "A streamed template names current_user, but its headers are gone already and let caches keep "
                "the page: write `await current_user` in the view before the stream starts."
            )
    return await load_user()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
