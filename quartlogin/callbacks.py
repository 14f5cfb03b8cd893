"""How a function that the app registered is called, be it `def` or `async def`.

A `def` callback may block, so it runs in a thread; not in the event loop's default executor, since `def`
views hold those threads while they wait for the user, and the two would wait for each other for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

AsyncCallable = Callable[..., Coroutine[Any, Any, Any]]

_threads = ThreadPoolExecutor(thread_name_prefix="quartlogin-callback")


def in_thread(function: Callable[..., Any]) -> AsyncCallable:
    """Wrap a function so that awaiting it runs it in a thread of quartlogin's own.

    A callable that only looks synchronous, such as an object with `async def __call__` or a partial of a
    coroutine function, gives an awaitable; that is awaited on the loop.
    """

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = partial(copy_context().run, function, *args, **kwargs)
        result = await asyncio.get_running_loop().run_in_executor(_threads, run)
        return await result if isawaitable(result) else result

    return call


def as_coroutine_function(function: Callable[..., Any]) -> AsyncCallable:
    """Return a coroutine function that does what this one does: decided once, when it is registered."""
    return function if iscoroutinefunction(function) else in_thread(function)
