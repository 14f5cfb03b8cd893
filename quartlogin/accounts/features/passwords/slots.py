"""A semaphore for work that needs several of something at once, such as cores."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Slots:
    """Runs work in threads, each piece of it in as many slots as it takes.

    Who came first is first, also if others would fit in before: or work of many slots would never have its turn. Work
    takes all of its slots at once, and waits for no others while it has them, so there is no deadlock.

    Work of one slot is handed to the threads in advance, so that each takes up the next by itself; there is one thread
    for each slot, so no more of it runs at a time. Only work of more slots is waited for, and waits, here.

    Args:
        count: How many slots there are, and threads.
    """

    def __init__(self, count: int) -> None:
        #: Less than none, if work of one slot waits for a thread.
        self._free = count
        self._running_wide = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def run(self, slots: int, threads: Executor, work: Callable[[], T]) -> T:
        """Run work in a thread when there are slots for it, which it has until it ends, whoever still waits for it.

        Args:
            slots: How many, at most as many as there are.
            threads: Where it runs: one thread for each slot.
            work: What is called.
        """
        await self._acquire(slots)
        give_back = partial(self._release_from_thread, asyncio.get_running_loop(), slots)
        try:
            running = threads.submit(work)
        except RuntimeError:  # shut down
            self._release(slots)
            raise
        running.add_done_callback(give_back)
        return await asyncio.wrap_future(running)

    async def _acquire(self, slots: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((slots, turn))
        self._serve_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve_next()  # those behind may have waited for this one alone
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

    def _take(self, slots: int, pieces: int) -> None:
        self._free -= slots
        self._running_wide += pieces if abs(slots) > 1 else 0

    def _release_from_thread(self, loop: asyncio.AbstractEventLoop, slots: int, _: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it all who waited
            loop.call_soon_threadsafe(self._release, slots)
