"""How a request comes to know its user: at most once, whoever asks and however many tasks ask."""

import asyncio
from contextvars import ContextVar
from typing import Any, Final

from . import signals
from .errors import UserNotLoadedError
from .extension import current_manager
from .identity import find_user
from .state import UserState, running_loop, state_of_request

_IN_VIEWS: Final = (
    "current_user is not loaded yet in this request. Write `user = await current_user` before its attributes are used, "
    "or put @login_required directly above the view's `def`, below its route, or have LoginManager(app, eager=True) "
    "load the user before every view."
)
_BEFORE_VIEWS: Final = (
    "current_user is not loaded yet: before_request functions run before guards do and before eager=True loads the "
    "user. Write `user = await current_user` before its attributes are used."
)

#: The state whose loader is running in this task, or in a task or thread that the loader started.
_inside_loader: ContextVar[UserState | None] = ContextVar("quartlogin_inside_loader", default=None)


async def user_of_request() -> Any:
    """Return the user of this request: the real object, never a proxy; `None` outside a request.

    Raises:
        UserNotLoadedError: The loader itself asked, or the answer's headers are sent already.
        Exception: Whatever the loader raised.
    """
    state = state_of_request()
    return None if state is None else await _user_of(state)


def resolved_user() -> Any:
    """Return the user without waiting: known already, or loaded on the request's loop if this is a thread.

    Raises:
        UserNotLoadedError: This is a coroutine, and nothing has loaded the user yet.
        Exception: Whatever the loader raised, when this is a thread.
    """
    state = state_of_request()
    if state is None:
        return None
    if state.is_resolved:
        _look(state)
        return state.user
    if state.loop is None or running_loop() is not None:
        raise UserNotLoadedError(_BEFORE_VIEWS if state.is_preparing else _IN_VIEWS)
    _look(state)
    return asyncio.run_coroutine_threadsafe(_load(state), state.loop).result()


async def user_for_template(state: UserState) -> Any:
    """Return the user for a template of a request.

    After a loader that failed, this is the anonymous user, so that an error page can be drawn.

    Raises:
        UserNotLoadedError: The answer's headers are sent already.
        Exception: Whatever the loader raised, to the template that asked first.
    """
    if state.error is not None:
        return current_manager().anonymous_user()
    return await _user_of(state)


async def _user_of(state: UserState) -> Any:
    _look(state)
    if state.is_resolved:
        return state.user
    if state.loop is not None and state.loop is not asyncio.get_running_loop():
        # A thread with a loop of its own, as `template.render()` in a `def` view makes one.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_load(state), state.loop))
    return await _load(state)


def _look(state: UserState) -> None:
    """Have the answer marked as this visitor's own.

    Raises:
        UserNotLoadedError: Its headers are sent already, and let caches keep it.
    """
    if state.headers_sent and not (state.accessed and state.is_resolved):
        raise UserNotLoadedError(
            "current_user is asked for after the headers of this answer were sent, as in a streamed body; they "
            "let caches keep it: write `await current_user` in the view before the stream starts."
        )
    state.accessed = True


async def _load(state: UserState) -> Any:
    """Return the user, asking the loader if nobody in this request has done so yet.

    Whoever comes first runs the loader in its own task; the others wait. If the first is cancelled, the next one
    takes over.
    """
    while not state.is_resolved:
        if state.error is not None:
            raise state.error
        if _inside_loader.get() is state:
            raise UserNotLoadedError(
                "The user_loader asked for current_user, which is what it is there to find out: "
                "use the id that it was called with."
            )
        if not state.is_loading:
            await _run_loader(state)
        else:
            state.loaded = state.loaded or asyncio.Event()
            await state.loaded.wait()
    return state.user


async def _run_loader(state: UserState) -> None:
    state.is_loading = True
    token = _inside_loader.set(state)
    try:
        found = await find_user(state)
        if not state.is_resolved:  # a login or logout that came meanwhile has the last word
            state.set_user(found)
    except Exception as error:
        if not state.is_resolved:
            state.error = error
    finally:
        _inside_loader.reset(token)
        state.is_loading = False
        if state.loaded is not None:
            state.loaded.set()
            state.loaded = None
    if state.is_resolved:
        await signals.send(signals.user_accessed)
