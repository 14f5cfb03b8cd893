"""The user of a request: loaded at most once, however many tasks ask for it."""

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final, cast
from weakref import WeakSet

from quart import session

from . import signals, tracing
from .authentication import find_user
from .context import app_of_kept_request, can_set_cookies, current_manager
from .errors import UserNotLoadedError
from .request_state import (
    UserState,
    is_outside_its_request,
    loader_of,
    running_loop,
    state_of_asker,
    state_of_request,
)
from .request_steps import tell_early_read, tell_template

_IN_VIEWS: Final = (
    "current_user is not loaded yet in this request. Write `user = await current_user` before its attributes are used, "
    "or put @login_required directly above the view's `def`, below its route, or have LoginManager(app, eager=True) "
    "load the user before every view."
)
_BEFORE_VIEWS: Final = (
    "current_user is not loaded yet: before_request functions run before guards do and before eager=True loads the "
    "user. Write `user = await current_user` before its attributes are used."
)
_IN_BACKGROUND: Final = (
    "A request started this task, which runs outside of it and has no user: write `user = await current_user` in the "
    "view and give the task the user, or `async with login_manager.as_user(user)` around what it does."
)
_KEPT_OUTPUT: Final = (
    "Jinja evaluates a template that is imported, or included without context, once for all visitors, and so a filter "
    "or a test of a constant: name current_user inside a macro there, or write `with context`."
)

#: Whether the output of the template that is being evaluated is kept for later requests.
output_is_kept: Final[ContextVar[bool]] = ContextVar("quartlogin_output_is_kept", default=False)
#: Whether a template is being rendered after the loader has failed.
is_rendering: Final[ContextVar[bool]] = ContextVar("quartlogin_is_rendering", default=False)
#: The running requests whose loader has failed: usually none.
_failed: Final[WeakSet[UserState]] = WeakSet()


async def user_of_request() -> Any:
    """Return the user of this request: the real object, never a proxy; `None` outside a request.

    Raises:
        UserNotLoadedError: The caller is the loader itself, a streamed body whose headers allow caches to store it, or
            a task outside of its request.
        Exception: Whatever the loader raised.
    """
    state = _state_of_asker()
    return None if state is None else await _user_of(state)


def resolved_user() -> Any:
    """Return the user without awaiting: if it is known, or by loading it on the request's loop if this is a thread.

    Raises:
        UserNotLoadedError: This is a coroutine, and the user is not loaded yet.
        Exception: Whatever the loader raised.
    """
    state = _state_of_asker()
    if state is None:
        return None
    if state.is_resolved:
        state.access()
        return state.user
    if state.error is not None:
        return _after_failure(state)
    if state.loop is None or running_loop() is not None:
        if tracing.listeners:
            tell_early_read("before_request" if state.is_preparing else "view")
        raise UserNotLoadedError(_BEFORE_VIEWS if state.is_preparing else _IN_VIEWS)
    state.access()
    return asyncio.run_coroutine_threadsafe(_load_or_tell(state), state.loop).result()


def loaded_user() -> Any | None:
    """Return the user if it is loaded, else `None`: for log filters, error reports and metrics.

    It never loads, never raises and never makes a response private, so pages must not show it: a response that depends
    on the user needs `current_user`.
    """
    state = state_of_request()
    if state is None or not state.is_resolved or output_is_kept.get():
        return None
    return state.user


async def reload_user() -> Any:
    """Load the user of this request again, as after a change by another connection.

    `current_user` and templates see the result; if it is `None`, the visitor is anonymous from now on. A user who was
    anonymous before, or was set with `as_user`, stays.

    Returns:
        The user: the real object, never a proxy; `None` outside a request.

    Raises:
        Exception: Whatever the loader raised; the user is then the previous one.
    """
    state = _state_of_asker()
    if state is None:
        return None
    if not state.is_resolved:
        state.error, state.error_raised = None, False
        return await _user_of(state)
    state.access()
    former = state.user
    if state.reload_user is not None:
        token = loader_of.set(state)
        try:
            user = await state.reload_user()
        finally:
            loader_of.reset(token)
        if state.user is former:  # a concurrent login or logout takes precedence
            _settle(state, user)
    return state.user


async def user_for_template() -> Any:
    """Return the user for a template.

    After a loader's error, this is the anonymous user, so that an error page can be rendered.

    Raises:
        UserNotLoadedError: Jinja keeps the output of this template, or this is a streamed body whose headers allow
            caches to store it.
        Exception: Whatever the loader raised, to the first caller.
    """
    if tracing.listeners:
        tell_template(sys._getframe(1))
    state = None if output_is_kept.get() else state_of_request()
    if state is None and (state := _state_of_asker()) is None:
        return None
    if state.is_resolved:  # for every name on a page after the first
        state.access()
        return state.user
    return _anonymous(state) if state.error_raised else await _user_of(state)


def is_after_failure() -> bool:
    """Tell whether the loader has failed in this request."""
    if not _failed:
        return False  # rendering calls this for each template, and finding the request takes longer
    state = state_of_request()
    return state is not None and state.error is not None


async def load_ahead() -> None:
    """Load the user for a template's helper that may read it.

    Only if it reads the user is the response marked, and a loader's error raised.
    """
    state = state_of_request()
    if state is None or state.is_resolved or state.error is not None or loader_of.get() is state:
        return
    if output_is_kept.get() or state.headers_sent:
        return  # the helper must not read the user there
    try:
        await _on_its_loop(state, _load(state))
    except Exception as error:
        if error is not state.error:
            raise
    if (session.modified or state.remember_cookie is not None) and can_set_cookies():
        state.accessed = True  # a remember cookie restored a login: this response carries the visitor's cookies


def _state_of_asker() -> UserState | None:
    """Return the state of the current request, `None` outside of requests.

    Raises:
        UserNotLoadedError: The user is not available here.
    """
    if output_is_kept.get():
        raise UserNotLoadedError(_KEPT_OUTPUT)
    state = state_of_asker()
    if state is None and is_outside_its_request():
        raise UserNotLoadedError(_IN_BACKGROUND)
    return state


async def _user_of(state: UserState) -> Any:
    state.access()
    if state.is_resolved:
        return state.user
    if state.error is not None:
        return _after_failure(state)
    app = app_of_kept_request()
    if app is None:
        if not state.is_on_its_loop():
            return await _on_its_loop(state, _load_or_tell(state))
        try:
            return await _load(state)  # like `_load_or_tell`, with one coroutine fewer for every page
        finally:
            state.error_raised = state.error is not None
    async with app.app_context():
        return await _load_or_tell(state)


def _after_failure(state: UserState) -> Any:
    """Raise the loader's error; once it was raised, an error page's template sees the anonymous user."""
    if state.error_raised and is_rendering.get():
        return _anonymous(state)
    state.error_raised = True
    raise cast(Exception, state.error)


def _anonymous(state: UserState) -> Any:
    state.access()
    return current_manager().anonymous_user()


async def _on_its_loop(state: UserState, load: Coroutine[Any, Any, Any]) -> Any:
    if state.loop is None or state.is_on_its_loop():
        return await load
    # A thread with its own loop, as `template.render()` in a `def` view creates one.
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(load, state.loop))


async def _load_or_tell(state: UserState) -> Any:
    """Load the user for a caller that gets the loader's error, if there is one."""
    try:
        return await _load(state)
    finally:
        state.error_raised = state.error is not None


async def _load(state: UserState) -> Any:
    """Return the user, calling the loader if it was not called in this request.

    The first task runs the loader itself; the others wait. If the first is cancelled, the next one takes over.
    """
    while not state.is_resolved:
        if state.error is not None:
            raise state.error
        if loader_of.get() is state:
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
    token = loader_of.set(state)
    try:
        found = await find_user(state)
        if not state.is_resolved:  # a concurrent login or logout takes precedence
            state.resolve(found)
    except Exception as error:
        if not state.is_resolved:
            state.error = error
            _failed.add(state)
    finally:
        loader_of.reset(token)
        state.is_loading = False
        if state.loaded is not None:
            state.loaded.set()
            state.loaded = None
    if signals.user_accessed.receivers and state.is_resolved:
        await signals.send(signals.user_accessed)


def _settle(state: UserState, user: Any) -> None:
    if user is not None:
        state.set_user(user)
        return
    state.set_user(current_manager().anonymous_user())
    state.login_id, state.fresh, state.reload_user = None, False, None
