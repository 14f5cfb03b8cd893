"""Questions that come together are asked together: everybody is answered, and with the own answer."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartlogin.webapp.store import StoreUnavailable
from quartlogin.webapp.store.gathering import Gathering


class Statements:
    """A database whose statements end when the test says so."""

    def __init__(self, at_once: int = 1, most: int = 4, *, is_crowded: bool = True) -> None:
        self.asked: list[list[int]] = []
        self.running: list[asyncio.Future[None]] = []
        self.gathering: Gathering[int, str] = Gathering(self.run, at_once=at_once, most=most)
        if is_crowded:
            self.gathering._unawaited = 0
        #: Called when a statement has ended, before anybody is told.
        self.when_ended: Callable[[], object] = lambda: None

    async def run(self, questions: Sequence[int]) -> list[str]:
        self.asked.append([*questions])
        self.running.append(asyncio.get_running_loop().create_future())
        end = self.running[-1]
        try:
            await end
        finally:
            if end in self.running:
                self.running.remove(end)
            self.when_ended()
        return [f"answer to {question}" for question in questions]

    async def ask(self, *questions: int) -> list["asyncio.Task[str]"]:
        tasks = [asyncio.create_task(self.gathering.ask(question)) for question in questions]
        await settle()
        return tasks

    async def end(self, error: Exception | None = None) -> None:
        end = self.running.pop(0)
        if error is None:
            end.set_result(None)
        else:
            end.set_exception(error)
        await settle()

    async def end_all(self) -> None:
        while self.running:
            await self.end()


async def settle() -> None:
    """Let everybody do what can be done without the database."""
    for _ in range(10):
        await asyncio.sleep(0)


def outcomes(tasks: Sequence["asyncio.Task[str]"]) -> list[Any]:
    return [task.result() for task in tasks]


async def test_somebody_alone_asks_at_once() -> None:
    database = Statements(is_crowded=False)

    [one] = await database.ask(1)
    await database.end()

    assert database.asked == [[1]]
    assert one.result() == "answer to 1"


async def test_those_who_come_meanwhile_are_asked_for_together() -> None:
    database = Statements()

    tasks = [*await database.ask(1), *await database.ask(2, 3)]
    await database.end_all()

    assert database.asked == [[1], [2, 3]]
    assert outcomes(tasks) == ["answer to 1", "answer to 2", "answer to 3"]


async def test_a_question_waits_for_a_statement_that_begins_after_it_also_if_it_is_being_asked() -> None:
    """The login may have been revoked between the two."""
    database = Statements()

    await database.ask(1)
    [late] = await database.ask(1)
    await database.end()

    assert not late.done()
    assert database.asked == [[1], [1]]


async def test_no_statement_holds_more_than_it_can() -> None:
    database = Statements(most=3)

    tasks = await database.ask(*range(8))
    await database.end_all()

    assert database.asked == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert outcomes(tasks) == [f"answer to {question}" for question in range(8)]


async def test_several_statements_may_be_on_their_way() -> None:
    database = Statements(at_once=2)

    await database.ask(1)
    await database.ask(2)
    await database.ask(3, 4)
    await database.end()

    assert database.asked == [[1], [2], [3, 4]]


async def test_two_do_not_wait_for_each_other() -> None:
    database = Statements(is_crowded=False)

    for round_ in range(20):
        await database.ask(2 * round_)
        await database.ask(2 * round_ + 1)
        assert len(database.running) == 2
        await database.end_all()

    assert database.asked == [[number] for number in range(40)]


async def test_who_comes_while_two_ask_is_asked_for_when_both_have_ended() -> None:
    database = Statements(is_crowded=False)

    await database.ask(1)
    await database.ask(2)
    await database.ask(3, 4)
    await database.end()
    meanwhile = [*database.asked]
    await database.end_all()

    assert meanwhile == [[1], [2]]
    assert database.asked == [[1], [2], [3, 4]]


async def test_three_are_a_crowd() -> None:
    """The third finds that two are asking, and has to wait."""
    database = Statements(is_crowded=False)

    await database.ask(1)
    await database.ask(2)
    await database.ask(3)
    await database.end_all()
    await database.ask(4, 5)

    assert database.asked == [[1], [2], [3], [4, 5]]


async def test_in_a_crowd_all_who_come_at_the_same_moment_are_asked_for_at_once() -> None:
    database = Statements(most=8)

    await database.ask(1, 2, 3)

    assert database.asked == [[1, 2, 3]]


async def test_a_crowd_is_none_any_more_when_everybody_was_alone_for_a_while() -> None:
    database = Statements()
    for question in range(8):
        await database.ask(question)
        await database.end()

    await database.ask(8)
    await database.ask(9)

    assert database.asked[-2:] == [[8], [9]]


async def test_an_error_is_told_to_all_who_were_asked_for_and_to_nobody_else() -> None:
    database = Statements()
    [first], [second, third] = await database.ask(1), await database.ask(2, 3)
    await database.end()
    [later] = await database.ask(4)

    await database.end(StoreUnavailable("gone"))
    await database.end_all()

    assert first.result() == "answer to 1"
    assert [str(task.exception()) for task in (second, third)] == ["gone", "gone"]
    assert second.exception() is not third.exception()
    assert later.result() == "answer to 4"


async def test_when_the_one_who_asks_for_all_is_cancelled_the_others_are_asked_for_again() -> None:
    database = Statements()
    await database.ask(1)
    [asks, second, third] = await database.ask(2, 3, 4)
    await database.end()

    asks.cancel()
    await settle()
    await database.end_all()

    assert database.asked == [[1], [2, 3, 4], [3, 4]]
    assert asks.cancelled()
    assert outcomes([second, third]) == ["answer to 3", "answer to 4"]


async def test_somebody_alone_who_is_cancelled_leaves_the_way_free() -> None:
    database = Statements()
    [alone] = await database.ask(1)

    alone.cancel()
    [next_one] = await database.ask(2)
    await database.end_all()

    assert next_one.result() == "answer to 2"


async def test_somebody_who_is_cancelled_while_waiting_is_not_asked_for() -> None:
    database = Statements()
    await database.ask(1)
    [gone, stays] = await database.ask(2, 3)

    gone.cancel()
    await settle()
    await database.end_all()

    assert database.asked == [[1], [3]]
    assert stays.result() == "answer to 3"


async def test_somebody_who_is_cancelled_at_the_moment_of_the_own_turn_hands_it_over() -> None:
    database = Statements()
    await database.ask(1)
    [gone, stays] = await database.ask(2, 3)
    database.when_ended = partial(asyncio.get_running_loop().call_soon, gone.cancel)

    await database.end_all()

    assert gone.cancelled()
    assert database.asked == [[1], [3]]
    assert stays.result() == "answer to 3"


@pytest.mark.parametrize("at_once", [1, 3])
@given(
    steps=st.lists(st.tuples(st.sampled_from(["ask", "ask", "cancel", "end", "fail"]), st.integers(0, 30)), max_size=40)
)
@settings(max_examples=200, deadline=None)
async def test_whatever_comes_everybody_is_answered_with_the_own_answer(
    at_once: int, steps: list[tuple[str, int]]
) -> None:
    database = Statements(at_once, is_crowded=False)
    tasks: dict[int, asyncio.Task[str]] = {}
    begun_before: dict[int, int] = {}

    for step, choice in steps:
        if step == "ask":
            number = len(tasks)
            begun_before[number] = len(database.asked)
            tasks[number] = asyncio.create_task(database.gathering.ask(number))
        elif step == "cancel" and tasks:
            tasks[choice % len(tasks)].cancel()
        elif step in {"end", "fail"} and database.running:
            end = database.running.pop(choice % len(database.running))
            if not end.done():
                end.set_result(None) if step == "end" else end.set_exception(StoreUnavailable("gone"))
        if choice % 3:
            await settle()
    await settle()
    await database.end_all()

    assert all(task.done() for task in tasks.values())
    for number, task in tasks.items():
        if not task.cancelled() and task.exception() is None:
            assert task.result() == f"answer to {number}"
            assert any(number in questions for questions in database.asked[begun_before[number] :])
    assert database.gathering._asking == 0
