"""Work that takes several slots at once: never more than there are, in turn, without deadlock."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from quartlogin.accounts.features.passwords.hashing import Slots
from servers import PATIENCE
from waiting import eventually


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Measured:
    """Work that counts the slots that are taken while it runs."""

    def __init__(self) -> None:
        self.most = 0
        self.done = 0
        self._now = 0
        self._lock = threading.Lock()

    def of(self, slots: int) -> None:
        with self._lock:
            self._now += slots
            self.most = max(self.most, self._now)
        time.sleep(0.001)
        with self._lock:
            self._now -= slots
            self.done += 1


async def settled(slots: Slots, count: int) -> bool:
    """Tell whether all slots are given back."""
    await eventually(lambda: slots._free == count and not slots._waiting)
    return True


async def test_never_more_slots_are_taken_than_there_are(threads: ThreadPoolExecutor) -> None:
    slots, measured, luck = Slots(4), Measured(), Random(0)
    sizes = [luck.randint(1, 4) for _ in range(200)]

    await asyncio.gather(*(slots.run(size, threads, lambda size=size: measured.of(size)) for size in sizes))

    assert (measured.most, measured.done) == (4, 200)
    assert await settled(slots, 4)


async def test_deadlock_slots_of_cancelled_callers_are_released(threads: ThreadPoolExecutor) -> None:
    slots, measured, luck = Slots(4), Measured(), Random(1)
    for _ in range(20):
        tasks = [
            asyncio.create_task(slots.run(size, threads, lambda size=size: measured.of(size)))
            for size in (luck.randint(1, 4) for _ in range(20))
        ]
        for task in luck.sample(tasks, 12):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await settled(slots, 4)
    assert measured.most <= 4
    await slots.run(4, threads, lambda: None)


async def test_work_keeps_its_slots_after_its_caller_has_left(threads: ThreadPoolExecutor) -> None:
    slots, go_on, begun = Slots(4), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE)

    first = asyncio.create_task(slots.run(1, threads, work))
    await asyncio.to_thread(begun.wait, PATIENCE)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(slots.run(4, threads, lambda: "done"))
    for _ in range(10):
        await asyncio.sleep(0)

    assert not second.done()
    go_on.set()
    assert await second == "done"


async def test_starvation_a_caller_of_many_slots_is_served_in_turn(threads: ThreadPoolExecutor) -> None:
    slots, order = Slots(4), list[str]()
    go_on = threading.Event()
    first = asyncio.create_task(slots.run(1, threads, lambda: go_on.wait(PATIENCE)))
    await asyncio.sleep(0)
    wide = asyncio.create_task(slots.run(4, threads, lambda: order.append("wide")))
    await asyncio.sleep(0)
    narrow = [asyncio.create_task(slots.run(1, threads, lambda: order.append("narrow"))) for _ in range(20)]
    await asyncio.sleep(0)
    go_on.set()

    await asyncio.gather(first, wide, *narrow)

    assert order == ["wide", *["narrow"] * 20]


async def test_an_error_is_the_callers_and_the_slots_come_back(threads: ThreadPoolExecutor) -> None:
    slots = Slots(4)

    with pytest.raises(ZeroDivisionError):
        await slots.run(1, threads, lambda: 1 // 0)
    threads.shutdown()
    for size in (1, 4, 4, 1):
        with pytest.raises(RuntimeError):
            await slots.run(size, threads, lambda: None)


async def test_work_of_one_slot_waits_for_a_thread_and_not_for_the_event_loop(threads: ThreadPoolExecutor) -> None:
    """Or each hash would begin only when the loop, which has pages to serve, has heard of the end of another."""
    slots, go_on, done = Slots(4), threading.Event(), threading.Event()
    left = iter(range(8))

    def work() -> None:
        go_on.wait(PATIENCE)
        if next(left) == 7:
            done.set()

    tasks = [asyncio.create_task(slots.run(1, threads, work)) for _ in range(8)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    go_on.set()

    assert done.wait(PATIENCE)  # while the loop stands still
    await asyncio.gather(*tasks)
