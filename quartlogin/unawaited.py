"""Detect calls of `login_user` and `logout_user` that are never awaited, and so never happen.

Python only warns ("coroutine was never awaited"), where someone reads warnings: the page says "signed out", and the
user is not. So the response to such a request is an error.
"""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from inspect import CORO_CREATED, currentframe, getcoroutinestate
from pathlib import Path
from types import FrameType
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar, cast

from . import tracing
from .context import current_connection
from .errors import ConfigurationError

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTE: Final = "_quartlogin_calls"


class _Call(NamedTuple):
    coroutine: Coroutine[Any, Any, Any]
    name: str
    where: str


class _NoticedFunction(Generic[P, T]):
    """A coroutine function whose calls are recorded with the request.

    It returns the coroutine itself, which can be used like any other. `inspect.iscoroutinefunction` recognizes it,
    since it treats an object with a function's attributes as a function; Python 3.11 offers no other way.
    """

    def __init__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> None:
        update_wrapper(self, function)
        made: Any = function
        self._function = function
        self.__code__, self.__defaults__, self.__kwdefaults__ = made.__code__, made.__defaults__, made.__kwdefaults__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        coroutine = self._function(*args, **kwargs)
        connection = current_connection()
        if connection is not None:
            call = _Call(coroutine, self._function.__name__, _where(currentframe()))
            vars(connection).setdefault(_ATTRIBUTE, []).append(call)
        return coroutine

    def __repr__(self) -> str:
        return repr(self._function)


def must_be_awaited(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make requests fail that call this coroutine function without awaiting it."""
    return _NoticedFunction(function)


def check_awaited(connection: Any) -> None:
    """Refuse to finish a request that has forgotten an `await`.

    Args:
        connection: The request.

    Raises:
        ConfigurationError: It has; the message says where.
    """
    calls: list[_Call] | None = vars(connection).pop(_ATTRIBUTE, None)
    if calls is None:  # as for nearly every request
        return
    forgotten = [call for call in calls if getcoroutinestate(cast(Any, call.coroutine)) == CORO_CREATED]
    for call in forgotten:
        call.coroutine.close()  # or Python warns as well
    if forgotten:
        name, where = forgotten[0].name, forgotten[0].where
        if tracing.listeners:
            tracing.tell("not_awaited", function=name, where=Path(where).name.rstrip(","))
        raise ConfigurationError(
            f"{name}() was called in {where} and never awaited, so it did nothing: write `await {name}(...)`, in a "
            "view that is `async def`."
        )


def _where(frame: FrameType | None) -> str:
    """Return the place in the app's code that made a call."""
    caller = None if frame is None else frame.f_back
    return "this request" if caller is None else f"{caller.f_code.co_filename}, line {caller.f_lineno},"
