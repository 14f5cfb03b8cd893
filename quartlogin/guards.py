"""The decorators that let only some visitors reach a view or a websocket."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial, wraps
from inspect import isasyncgenfunction
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from quart import current_app, request, stream_with_context

from . import session
from .clients import is_websocket
from .config import EXEMPT_METHODS
from .errors import OriginRefused
from .extension import current_manager
from .loading import user_of_request
from .origins import is_own_origin
from .state import login_fresh
from .user import answers

P = ParamSpec("P")
T = TypeVar("T")
ViewT = TypeVar("ViewT", bound=Callable[..., Any])

_EXEMPT: Final = "_quartlogin_login_exempt"

#: What a check gives for somebody who may pass. Whatever else it gives is the answer for somebody who may not, also
#: `None`, as a handler gives it that has forgotten its `return`.
LET_THROUGH: Final = object()


@overload
def login_required(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def login_required(func: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
def login_required(func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Let only signed-in users reach this view; everybody else gets `LoginManager.unauthorized()`.

    In the view, plain attributes such as `current_user.name` work. `OPTIONS` requests pass unasked. A websocket is
    refused before it is accepted, and closed when its login ends.

    Args:
        func: A view, `async def` or `def`, an async generator, or a websocket's handler.
    """
    return _guard(func, turn_away_visitors)


@overload
def fresh_login_required(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def fresh_login_required(func: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
@overload
def fresh_login_required(*, max_age: timedelta) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]: ...
def fresh_login_required(func: Callable[..., Any] | None = None, *, max_age: timedelta | None = None) -> Any:
    """Let only users reach this view who typed their password in this session, as before changing it.

    Whoever is not signed in gets `LoginManager.unauthorized()`, and whose login is not fresh, because a remember
    cookie restored it or the browser changed, `LoginManager.needs_refresh()`.

    Args:
        func: What `login_required` takes.
        max_age: How long ago the password may have been typed at most; `None` for any time.
    """
    if func is None:
        return partial(_guard, check=partial(_turn_away_stale, max_age))
    return _guard(func, partial(_turn_away_stale, max_age))


def login_exempt(func: ViewT) -> ViewT:
    """Let everybody reach this view, also where `LoginManager.require_login` guards all others."""
    setattr(func, _EXEMPT, True)
    return func


def is_exempt(view: Callable[..., Any]) -> bool:
    """Tell whether `login_exempt` marks this view, or the class that it was made from."""
    view_class = getattr(view, "view_class", None)
    return hasattr(view, _EXEMPT) or (view_class is not None and _EXEMPT in vars(view_class))  # not what it inherits


async def turn_away_visitors() -> Any:
    """Return the answer for somebody who is not signed in, `LET_THROUGH` for everybody else."""
    if is_websocket() and not is_own_origin():
        raise OriginRefused("A page of another site opened this websocket.")
    if answers(await user_of_request(), "is_authenticated"):
        return LET_THROUGH
    return await current_manager().unauthorized()


async def _turn_away_stale(max_age: timedelta | None) -> Any:
    answer = await turn_away_visitors()
    if answer is not LET_THROUGH or _is_fresh(max_age):
        return answer
    return await current_manager().needs_refresh()


def _is_fresh(max_age: timedelta | None) -> bool:
    if not login_fresh():
        return False
    if max_age is None:
        return True
    age = session.age_of_freshness()
    return age is not None and age <= max_age


def _guard(func: Callable[..., Any], check: Callable[[], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Make a coroutine function that asks before it runs the view, whatever kind of callable that is."""
    is_generator = isasyncgenfunction(func)

    @wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        exempt = not is_websocket() and request.method in EXEMPT_METHODS
        answer = LET_THROUGH if exempt else await check()
        if answer is not LET_THROUGH:
            return answer
        if is_websocket():
            handler = partial(current_app.ensure_async(func), *args, **kwargs)
            manager = current_manager()
            return await manager.sockets.serve(handler, manager.websocket_recheck)
        if is_generator:
            return cast(Any, stream_with_context(func))(*args, **kwargs)
        return await current_app.ensure_async(func)(*args, **kwargs)

    return guarded
