"""The decorators that let only some visitors reach a view."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

from quart import current_app, has_request_context, request

from .config import EXEMPT_METHODS
from .extension import current_manager
from .loading import load_user

P = ParamSpec("P")
T = TypeVar("T")


@overload
def login_required(view: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def login_required(view: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
def login_required(view: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Let only signed-in users reach this view; everybody else gets `LoginManager.unauthorized()`.

    In the view, plain attributes such as `current_user.name` work. `OPTIONS` requests pass unasked.

    Args:
        view: A view, `async def` or `def`.
    """

    @wraps(view)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        exempt = has_request_context() and request.method in EXEMPT_METHODS
        if not exempt and not (await load_user()).is_authenticated:
            return await current_manager().unauthorized()
        return await current_app.ensure_async(view)(*args, **kwargs)

    return guarded
