"""A semaphore for work that needs several units of a resource at once, such as cores."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from quartlogin import tracing

T = TypeVar("T")


class Slots:
    """Runs work in threads, each piece in as many slots as it needs.

    Slots are granted in order of arrival, even if later work would fit first: otherwise work of many slots would never
    get them. Work takes all of its slots at once, and waits for no others while it holds them, so there is no deadlock.

    Work of one slot is queued for the threads in advance, so that each continues without the event loop; there is one
    thread for each slot, so no more of it runs at a time. Only work of several slots waits here, and is waited for.

    Args:
        count: The number of slots, and of threads.
    """

    def __init__(self, count: int) -> None:
        #: Free slots; negative if work of one slot is queued for a thread.
        self._free = self._count = count
        self._running_wide = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def run(self, slots: int, threads: Executor, work: Callable[[], T]) -> T:
        """Run work in a thread as soon as its slots are free; it holds them until it ends, even if the caller is gone.

        Args:
            slots: The number of slots, at most all of them.
            threads: Where it runs: one thread for each slot.
            work: Called in a thread.
        """
        await self._acquire(slots)
        release = partial(self._release_from_thread, asyncio.get_running_loop(), slots)
        try:
            running = threads.submit(work)
        except RuntimeError:  # shut down
            self._release(slots)
            raise
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    @property
    def in_use(self) -> int:
        """The number of slots that are taken."""
        return self._count - max(self._free, 0)

    @property
    def waiting(self) -> int:
        """The number of pieces of work that wait: here, or for a thread."""
        return len(self._waiting) + max(-self._free, 0)

    async def _acquire(self, slots: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((slots, turn))
        self._serve_next()
        if tracing.listeners:
            self._tell()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve_next()  # those behind it may have waited for this one only
            else:
                self._release(slots)
            raise

    def _serve_next(self) -> None:
        while self._waiting:
            slots, turn = self._waiting[0]
            if not turn.cancelled():
                if slots > self._free and (slots > 1 or self._running_wide):
                    return
                self._take(slots, 1)
                turn.set_result(None)
            self._waiting.popleft()

    def _release(self, slots: int) -> None:
        self._take(-slots, -1)
        self._serve_next()
        if tracing.listeners:
            self._tell()

    def _tell(self) -> None:
        tracing.tell("hashing_queue", waiting=self.waiting, in_use=self.in_use)

    def _take(self, slots: int, pieces: int) -> None:
        self._free -= slots
        self._running_wide += pieces if abs(slots) > 1 else 0

    def _release_from_thread(self, loop: asyncio.AbstractEventLoop, slots: int, _: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop is closed, and no one waits any more
            loop.call_soon_threadsafe(self._release, slots)
