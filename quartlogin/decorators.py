"""Decorators that restrict who can reach a view or a websocket."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial, update_wrapper, wraps
from inspect import isasyncgenfunction, ismethod
from typing import Any, Final, ParamSpec, TypeVar, cast, overload
from weakref import WeakSet

from quart import Blueprint, Quart, current_app, request, stream_with_context
from quart.views import MethodView

from . import tracing
from .clients import is_websocket
from .config import EXEMPT_METHODS
from .context import current_manager
from .current_user import freshness
from .errors import OriginRefused
from .request_steps import tell_guard
from .request_user import user_of_request
from .user import require_bool
from .websockets.origin import is_own_origin

P = ParamSpec("P")
T = TypeVar("T")
ViewT = TypeVar("ViewT")

_EXEMPT: Final = "_quartlogin_login_exempt"

#: The result of a check that passes. Any other result is the response for a visitor who may not pass, including `None`,
#: which a handler without a `return` statement returns.
ALLOWED: Final = object()
#: The functions that guards were made around.
_guarded: Final[WeakSet[Callable[..., Any]]] = WeakSet()


@overload
def login_required(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def login_required(func: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
def login_required(func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Restrict a view to signed-in users; others get `LoginManager.unauthorized()`.

    In the view, plain attributes such as `current_user.name` work. `OPTIONS` requests pass. A websocket is refused
    before it is accepted, and closed when its login ends.

    Args:
        func: A view, `async def` or `def`, an async generator, or a websocket handler.
    """
    return _guard(func, check_authenticated, "login_required")


@overload
def fresh_login_required(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def fresh_login_required(func: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
@overload
def fresh_login_required(*, max_age: timedelta) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]: ...
def fresh_login_required(func: Callable[..., Any] | None = None, *, max_age: timedelta | None = None) -> Any:
    """Restrict a view to users who entered their password in this session, as before changing it.

    Others get `LoginManager.unauthorized()` if they are not signed in, and `LoginManager.needs_refresh()` if their
    login is not fresh, because a remember cookie restored it or the browser changed.

    Args:
        func: As for `login_required`.
        max_age: How long ago the password may have been entered; `None` for any time.
    """
    guard = make_guard(partial(_is_fresh, max_age), partial(_refresh, max_age), name="fresh_login_required")
    return guard if func is None else guard(func)


def make_guard(
    is_allowed: Callable[[], Awaitable[bool]], refuse: Callable[[], Awaitable[Any]], *, name: str = "guard"
) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]:
    """Make a decorator that restricts a view as `login_required` does, and then by one more question.

    Args:
        is_allowed: Called without arguments if the user is signed in, and loaded.
        refuse: Called without arguments if the user is not allowed; returns what the view may return, or raises. A
            websocket is refused by an error alone, such as `LoginManager.needs_refresh` raises it.
        name: The guard's name in `quartlogin.tracing`.
    """

    async def check() -> Any:
        answer = await check_authenticated()
        if answer is not ALLOWED or await is_allowed():
            return answer
        return await refuse()

    return partial(_guard, check=check, name=name)


def login_exempt(view: ViewT) -> ViewT:
    """Open a view to all visitors, even where `LoginManager.require_login` guards all others.

    Args:
        view: A view, a class of views, one method of a `MethodView`, or a blueprint: then all of its own views are
            open, but not those of blueprints registered on it. For a method of an object, a marked copy is returned, so
            that other objects' methods stay guarded.

    Raises:
        TypeError: This cannot be marked, or the mark would have no effect.
    """
    if not _can_be_view(view):
        raise TypeError(f"login_exempt marks a view, a View class or a blueprint, not {view!r}.")
    marked: Any = update_wrapper(partial(view), view) if ismethod(view) else view
    try:
        setattr(getattr(marked, "__func__", marked), _EXEMPT, True)  # what a classmethod or a staticmethod wraps
    except AttributeError:
        raise TypeError(f"login_exempt cannot mark {view!r}: wrap it in a function, and mark that.") from None
    return cast(ViewT, marked)


def _can_be_view(view: Any) -> bool:
    if isinstance(view, type):
        return hasattr(view, "as_view")
    if isinstance(view, Blueprint | classmethod | staticmethod):
        return True
    return callable(view) and not isinstance(view, Quart)


def is_exempt(endpoint: str) -> bool:
    """Tell whether `login_exempt` marks this request's view, its class or method, or its blueprint."""
    view = current_app.view_functions[endpoint]
    blueprint = current_app.blueprints.get(endpoint.rpartition(".")[0])
    if hasattr(view, _EXEMPT) or hasattr(blueprint, _EXEMPT):
        return True
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return False
    is_class_marked = _EXEMPT in vars(view_class)  # not what it inherits
    return is_class_marked or any(hasattr(method, _EXEMPT) for method in _methods_that_serve(view_class))


def _methods_that_serve(view_class: Any) -> list[Any]:
    """Return the methods of a class of views that serve this request; `MethodView` answers HEAD with `get`."""
    names = [request.method.lower()] if issubclass(view_class, MethodView) else []
    if names == ["head"] and not hasattr(view_class, "head"):
        names = ["get"]
    return [getattr(view_class, name, None) for name in ("dispatch_request", *names)]


async def check_authenticated() -> Any:
    """Return the response for a visitor who is not signed in, `ALLOWED` otherwise."""
    if is_websocket() and not is_own_origin():
        raise OriginRefused("A page of another site opened this websocket.")
    if require_bool(await user_of_request(), "is_authenticated"):
        return ALLOWED
    return await current_manager().unauthorized()


async def _is_fresh(max_age: timedelta | None) -> bool:
    is_fresh, since = freshness()
    if not is_fresh or max_age is None:
        return is_fresh
    return since is not None and time.time() - since <= max_age.total_seconds()


async def _refresh(max_age: timedelta | None) -> Any:
    manager = current_manager()
    return await (manager.needs_refresh() if max_age is None else manager.needs_refresh(max_age=max_age))


def was_guarded(view: Callable[..., Any]) -> bool:
    """Tell whether a guard was made around this function: registered as a view itself, it is open to all."""
    return view in _guarded


def _guard(func: Callable[..., Any], check: Callable[[], Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    """Make a coroutine function that runs a check before the view, whatever kind of callable that is."""
    is_generator = isasyncgenfunction(func)

    @wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        exempt = not is_websocket() and request.method in EXEMPT_METHODS
        answer = ALLOWED if exempt else await (tell_guard(name, check(), ALLOWED) if tracing.listeners else check())
        if answer is not ALLOWED:
            return answer
        if is_websocket():
            handler = partial(current_app.ensure_async(func), *args, **kwargs)
            manager = current_manager()
            return await manager.sockets.serve(handler, manager.websocket_recheck)
        if is_generator:
            return cast(Any, stream_with_context(func))(*args, **kwargs)
        return await current_app.ensure_async(func)(*args, **kwargs)

    with suppress(TypeError):  # not everything that can be called can be referred to weakly
        _guarded.add(func)
    return guarded
