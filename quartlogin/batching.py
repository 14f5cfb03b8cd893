"""`BatchLoader`: loads the values of several requests in one lookup."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import coroutine
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakKeyDictionary, ref

from quart import Quart

from . import tracing
from .callbacks import AsyncCallable, as_loader
from .context import running_app
from .errors import ConfigurationError

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

_DEFAULT_MAX_SIZE: Final = 100  # few enough for the `IN (...)` of any database

#: The loader whose lookup this task, or one that it started, is part of.
_inside: ContextVar[Any] = ContextVar("quartlogin_inside_batch", default=None)


class BatchLoader(Generic[KeyT, ValueT]):
    """Loads values by key: keys requested in one turn of the event loop, or during a lookup, are looked up together.

    A single key after a lookup of a single key waits for no others.

    A key is only looked up by a batch that starts after it was requested, so no value is older than its request. No
    batch contains a key twice: two callers with one key get separate values, from separate batches. A cancelled caller
    neither stops nor delays the others; a batch without callers is cancelled.

    A lookup runs in an empty context, so none of its callers' requests is current in it. Each event loop has its own
    batches.

    Args:
        load_many: Called with a list of distinct keys; returns a mapping from keys to values, without those that have
            none. `async def` or `def`. If it raises, each caller of that batch gets a copy of the error.
        concurrency: The maximum number of concurrent lookups.
        max_size: The maximum number of keys in a batch.
    """

    def __init__(
        self,
        load_many: Callable[[list[KeyT]], Awaitable[Mapping[KeyT, ValueT]] | Mapping[KeyT, ValueT]],
        *,
        concurrency: int = 1,
        max_size: int = _DEFAULT_MAX_SIZE,
    ) -> None:
        self._load_many = as_loader(load_many)
        self._concurrency = concurrency
        self._max_size = max_size
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[KeyT]] = WeakKeyDictionary()

    async def load(self, key: KeyT) -> ValueT | None:
        """Return the value of a key, or `None` if it has none.

        Raises:
            ConfigurationError: `load_many` itself called this, or returned a key that was not requested.
            TypeError: `load_many` did not return a mapping.
            Exception: Whatever `load_many` raised.
        """
        if _inside.get() is self:
            raise ConfigurationError("A lookup of many keys asked for one of them, and would wait for itself.")
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(self._look_up, self._concurrency, self._max_size)
        if queue.running < queue.concurrency and not queue.collecting and not queue.waits_for_more:
            queue.running += 1
            try:  # like `_load_alone`, with one coroutine fewer for each page
                return (await _in_empty_context(self._look_up([key], tracing.listeners and tracing.askers()))).get(key)
            finally:
                queue.release()
        batch = queue.batch_for(key)
        if tracing.listeners:
            batch.askers += tracing.askers()
        answer = batch.answers[key] = loop.create_future()
        try:
            if queue.reserve(batch):
                await asyncio.sleep(0)  # all callers of this turn of the event loop are in this batch
                if len(batch.wanted()) == 1:  # there was no other caller
                    queue.collecting.remove(batch)
                    queue.waits_for_more = False
                    return await self._load_alone(queue, key)
                queue.start(batch)
            value = await answer
        except asyncio.CancelledError:
            queue.leave(batch, answer)
            raise
        if isinstance(value, _Failure):
            raise value.copy() from value.error
        return cast("ValueT | None", value)

    async def _load_alone(self, queue: "_Queue[KeyT]", key: KeyT) -> ValueT | None:
        """Look a key up in the caller's own task, which is cheaper than a batch: no other caller depends on it."""
        try:
            return (await _in_empty_context(self._look_up([key], tracing.listeners and tracing.askers()))).get(key)
        finally:
            queue.release()

    async def _look_up(self, keys: list[KeyT], askers: tuple[Any, ...]) -> Mapping[KeyT, ValueT]:
        _inside.set(self)
        values = await (self._load_for(askers, keys) if tracing.listeners else self._load_many(keys))
        if type(values) is not dict and not isinstance(values, Mapping):  # the second takes ten times as long
            raise TypeError(f"A lookup of many keys must return a mapping of them, not {type(values).__name__!r}.")
        if not values.keys() <= {*keys}:
            foreign = values.keys() - {*keys}
            raise ConfigurationError(
                f"A lookup of many keys returned one that it was not asked for: {foreign.pop()!r}. It must return "
                f"keys that it was called with, such as {keys[0]!r}, of the same type."
            )
        return values

    async def _load_for(self, askers: tuple[Any, ...], keys: list[KeyT]) -> Any:
        """Look keys up, and tell that to those on whose behalf it happens."""
        with tracing.running_for(askers):
            return await tracing.timed("lookup", self._load_many(keys), size=len(keys))


def is_inside_lookup() -> bool:
    """Tell whether this runs within a lookup, which several requests may wait for."""
    return _inside.get() is not None


def as_single_loader(load_users: Callable[..., Any]) -> AsyncCallable:
    """Return a loader of one user by id on top of a loader of many, in a separate app context."""
    load_many = as_loader(load_users)
    by_app: WeakKeyDictionary[Quart, BatchLoader[str, Any]] = WeakKeyDictionary()

    async def load_in(app: "ref[Quart]", user_ids: list[str]) -> Any:
        async with cast(Quart, app()).app_context():
            return await load_many(user_ids)

    async def load(user_id: str) -> Any:
        app = running_app()
        if app not in by_app:
            by_app[app] = BatchLoader(partial(load_in, ref(app)))
        return await by_app[app].load(user_id)

    return load


@dataclass(eq=False)
class _Batch(Generic[KeyT]):
    """Keys to be looked up together, each with the future that its caller awaits."""

    answers: dict[KeyT, "asyncio.Future[Any]"] = field(default_factory=dict)
    #: Whether it is running, or about to run.
    is_reserved: bool = False
    task: "asyncio.Task[None] | None" = None
    #: On whose behalf it runs, if anybody listens to the steps of requests.
    askers: tuple[Any, ...] = ()

    def has_room(self, key: KeyT, max_size: int) -> bool:
        answer = self.answers.get(key)
        return len(self.answers) < max_size if answer is None else answer.done()

    def wanted(self) -> list[KeyT]:
        return [key for key, answer in self.answers.items() if not answer.done()]

    def settle(self, value_of: Callable[[KeyT], Any]) -> None:
        for key in self.wanted():
            self.answers[key].set_result(value_of(key))


@dataclass(eq=False)
class _Queue(Generic[KeyT]):
    """The lookups of one event loop: those that are running, and the batches that wait for them."""

    look_up: Callable[[list[KeyT], tuple[Any, ...]], Coroutine[Any, Any, Mapping[KeyT, Any]]]
    concurrency: int
    max_size: int
    #: How many are running, or about to run.
    running: int = 0
    #: Whether a lookup waits a turn of the event loop for more keys. Not after one of a single key: single keys would
    #: wait in vain.
    waits_for_more: bool = True
    #: Batches that have not started.
    collecting: list[_Batch[KeyT]] = field(default_factory=list)

    def batch_for(self, key: KeyT) -> _Batch[KeyT]:
        """Return the first batch that has not started and has room for a key."""
        for batch in self.collecting:
            if batch.has_room(key, self.max_size):
                return batch
        self.collecting.append(_Batch())
        return self.collecting[-1]

    def reserve(self, batch: _Batch[KeyT]) -> bool:
        """Count a batch as running; return whether it was not before."""
        if batch.is_reserved or self.running >= self.concurrency:
            return False
        self.running += 1
        batch.is_reserved = True
        return True

    def start(self, batch: _Batch[KeyT]) -> None:
        """Run a batch, with all keys that arrive until its task takes its first step."""
        batch.task = asyncio.get_running_loop().create_task(self._run(batch), context=Context())
        batch.task.add_done_callback(partial(self._end, batch))

    def leave(self, batch: _Batch[KeyT], answer: "asyncio.Future[Any]") -> None:
        """Remove a cancelled caller."""
        answer.cancel()
        if batch.is_reserved and batch.task is None and batch in self.collecting:
            self.start(batch)  # the cancelled caller would have started it; no other can leave within that turn
        elif batch.task is not None and batch not in self.collecting and not batch.wanted():
            batch.task.cancel()

    def release(self) -> None:
        """Start the next batch after a lookup has ended."""
        self.running -= 1
        if not self.collecting:
            return
        waiting = [batch for batch in self.collecting if not batch.is_reserved]
        if waiting and self.reserve(waiting[0]):
            self.start(waiting[0])

    async def _run(self, batch: _Batch[KeyT]) -> None:
        """Look up the keys requested so far, including those of the turn in which this was started."""
        self.collecting.remove(batch)
        if keys := batch.wanted():
            self.waits_for_more = len(keys) > 1
            batch.settle((await self.look_up(keys, batch.askers)).get)

    def _end(self, batch: _Batch[KeyT], task: "asyncio.Task[None]") -> None:
        """Pass an error to the callers without a value, and start the next batch."""
        error = None if task.cancelled() else task.exception()
        failure = _Failure(error or RuntimeError("The lookup of many keys was cancelled."))
        batch.settle(lambda _: failure)
        if batch in self.collecting:  # it was cancelled before it started
            self.collecting.remove(batch)
        self.release()


@dataclass(frozen=True)
class _Failure:
    error: BaseException

    def copy(self) -> BaseException:
        """Copy the error, whose traceback belongs to one caller, without calling a constructor of unknown signature."""
        kind = type(self.error)
        copied = kind.__new__(kind, *self.error.args)
        copied.args = self.error.args
        vars(copied).update(vars(self.error))
        return copied


@coroutine
def _in_empty_context(work: Coroutine[Any, Any, ValueT]) -> Generator[Any, Any, ValueT]:
    """Run a coroutine in this task, as `await` does, but in a new context."""
    context = Context()
    step: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        try:
            waits_for = context.run(step, value)
        except StopIteration as end:
            return cast(ValueT, end.value)
        try:
            yield waits_for
        except BaseException as error:
            step, value = work.throw, error
        else:
            step, value = work.send, None
