"""Calling functions that the app registered, whether `def` or `async def`.

A `def` callback may block, so it runs in a thread; not in the event loop's default executor, since `def` views occupy
those threads while they wait for the user, and the two would deadlock. For the same reason loaders, which never wait
for the user, have threads that no other callback can occupy.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

AsyncCallable = Callable[..., Coroutine[Any, Any, Any]]

_callback_threads = ThreadPoolExecutor(thread_name_prefix="quartlogin-callback")
_loader_threads = ThreadPoolExecutor(thread_name_prefix="quartlogin-loader")


def as_coroutine_function(callback: Callable[..., Any]) -> AsyncCallable:
    """Wrap a handler or receiver in a coroutine function; it may ask for the user."""
    return callback if iscoroutinefunction(callback) else _in_thread(_callback_threads, callback)


def as_loader(callback: Callable[..., Any]) -> AsyncCallable:
    """Wrap a loader in a coroutine function; it may not ask for the user."""
    return callback if iscoroutinefunction(callback) else _in_thread(_loader_threads, callback)


def _in_thread(threads: ThreadPoolExecutor, function: Callable[..., Any]) -> AsyncCallable:
    """Wrap a function so that awaiting it runs it in a thread.

    A callable that only looks synchronous, such as an object with `async def __call__` or a partial of a coroutine
    function, returns an awaitable, which is awaited on the loop.
    """

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = partial(copy_context().run, function, *args, **kwargs)
        result = await asyncio.get_running_loop().run_in_executor(threads, run)
        return await result if isawaitable(result) else result

    return call
