"""Lookups of several requests in one: each caller gets its own value, and none older than its call."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amounts import examples
from quartlogin import ConfigurationError
from quartlogin.batching import BatchLoader

LONG_ENOUGH = 60  # seconds until a test gives up on what hangs

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


class DatabaseDownError(Exception):
    """What a lookup of these tests raises."""


class Database:
    """A database whose lookups end when the test says so. What is in it changes with each: the number of the lookup."""

    def __init__(self, concurrency: int = 1, max_size: int = 4) -> None:
        self.lookups: list[list[int]] = []
        self.running: list[asyncio.Future[None]] = []
        self.cancelled = 0
        self.loader: BatchLoader[int, str] = BatchLoader(self.find, concurrency=concurrency, max_size=max_size)
        #: Called when a lookup has ended, before any caller is told.
        self.when_ended: Callable[[], object] = lambda: None

    async def find(self, keys: list[int]) -> dict[int, str]:
        self.lookups.append([*keys])
        number = len(self.lookups)
        end = asyncio.get_running_loop().create_future()
        self.running.append(end)
        try:
            await end
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            if end in self.running:
                self.running.remove(end)
            self.when_ended()
        return {key: f"{key} in lookup {number}" for key in keys if key >= 0}

    async def ask(self, *keys: int) -> list["asyncio.Task[str | None]"]:
        tasks = [asyncio.create_task(self.loader.load(key)) for key in keys]
        await settle()
        return tasks

    async def ask_together(self, *keys: int) -> list["asyncio.Task[str | None]"]:
        """Ask during a lookup that ends then, so that these keys are what is being looked up."""
        await self.ask(0)
        tasks = await self.ask(*keys)
        await self.end()
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
    """Let every task do what can be done without the database."""
    for _ in range(10):
        await asyncio.sleep(0)


def results(tasks: Sequence["asyncio.Task[str | None]"]) -> list[str | None]:
    return [task.result() for task in tasks]


# --- who is looked up with whom -------------------------------------------------------------------------------


async def test_a_single_caller_is_looked_up_at_once() -> None:
    database = Database()

    [one] = await database.ask(1)
    await database.end()

    assert database.lookups == [[1]]
    assert one.result() == "1 in lookup 1"


async def test_callers_of_one_turn_of_the_event_loop_share_a_lookup() -> None:
    database = Database()

    tasks = await database.ask(1, 2, 3)
    await database.end()

    assert results(tasks) == ["1 in lookup 1", "2 in lookup 1", "3 in lookup 1"]


async def test_a_key_that_comes_alone_after_one_that_came_alone_waits_no_turn_for_others() -> None:
    """Nobody came then, so that waiting would only cost: the next crowd is together from its second lookup on."""
    database = Database()
    await database.ask(1)
    await database.end()

    tasks = [asyncio.create_task(database.loader.load(key)) for key in (2, 3, 4)]
    await asyncio.sleep(0)
    assert database.lookups == [[1], [2]]
    await settle()
    await database.end_all()

    assert database.lookups == [[1], [2], [3, 4]]
    assert results(tasks) == ["2 in lookup 2", "3 in lookup 3", "4 in lookup 3"]


async def test_callers_that_come_during_a_lookup_share_the_next_one() -> None:
    database = Database()

    tasks = [*await database.ask(1), *await database.ask(2), *await database.ask(3)]
    await database.end_all()

    assert database.lookups == [[1], [2, 3]]
    assert results(tasks) == ["1 in lookup 1", "2 in lookup 2", "3 in lookup 2"]


async def test_callers_who_ask_again_as_soon_as_they_are_answered_stay_together() -> None:
    """A crowd needs one lookup for a round, not one for its first and one for the rest."""
    database = Database(max_size=100)
    answered = [0] * 32

    async def ask_again_and_again(number: int) -> None:
        for _ in range(5):
            await database.loader.load(number)
            answered[number] += 1

    crowd = asyncio.gather(*(ask_again_and_again(number) for number in range(32)))
    await settle()
    await database.end_all()
    await crowd

    assert [len(keys) for keys in database.lookups] == [32] * 5


async def test_no_lookup_holds_more_keys_than_allowed() -> None:
    database = Database(max_size=3)

    tasks = await database.ask(*range(8))
    await database.end_all()

    assert database.lookups == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [value and value.split()[0] for value in results(tasks)] == [str(key) for key in range(8)]


async def test_no_more_lookups_run_at_a_time_than_allowed() -> None:
    database = Database(concurrency=2)

    for key in range(1, 6):
        await database.ask(key)
    at_first = [*database.lookups]
    await database.end()

    assert at_first == [[1], [2]]
    assert database.lookups == [[1], [2], [3, 4, 5]]


async def test_a_key_without_a_value_is_none() -> None:
    database = Database()

    tasks = await database.ask(-1, -2, 1)
    await database.end_all()

    assert results(tasks) == [None, None, "1 in lookup 1"]


# --- no stale answer, no shared object ------------------------------------------------------------------------


async def test_a_key_that_is_being_looked_up_is_looked_up_again_for_a_later_caller() -> None:
    """What it stands for may have changed between the two, as when a user was disabled: no stale read."""
    database = Database()

    [early] = await database.ask(1)
    [late] = await database.ask(1)
    await database.end()
    assert not late.done()
    await database.end()

    assert results([early, late]) == ["1 in lookup 1", "1 in lookup 2"]


async def test_two_callers_of_one_key_get_a_value_of_their_own_each() -> None:
    """An object that one request changes must not be another request's."""

    class User:
        pass

    async def find(keys: list[int]) -> dict[int, User]:
        assert len(keys) == len(set(keys))
        await settle()
        return {key: User() for key in keys}

    loader: BatchLoader[int, User] = BatchLoader(find)

    async with asyncio.timeout(LONG_ENOUGH):
        users = await asyncio.gather(*(loader.load(key) for key in (1, 1, 2, 1, 2)))

    assert len({id(user) for user in users}) == 5


async def test_keys_are_not_mixed_up_whatever_the_order_of_the_mapping() -> None:
    async def find(keys: list[int]) -> dict[int, int]:
        return {key: key * 10 for key in reversed(keys)}

    loader: BatchLoader[int, int] = BatchLoader(find)

    assert await asyncio.gather(*(loader.load(key) for key in range(50))) == [key * 10 for key in range(50)]


# --- cancellation ---------------------------------------------------------------------------------------------


async def test_the_first_caller_cancelled_during_a_lookup_does_not_stop_it_for_the_others() -> None:
    database = Database()
    first, second, third = await database.ask_together(1, 2, 3)

    first.cancel()
    await settle()
    await database.end()

    assert first.cancelled()
    assert database.lookups == [[0], [1, 2, 3]]
    assert results([second, third]) == ["2 in lookup 2", "3 in lookup 2"]


async def test_a_caller_cancelled_during_a_lookup_of_its_own_leaves_the_way_free() -> None:
    database = Database()
    [alone], [waiting] = await database.ask(1), await database.ask(2)

    alone.cancel()
    await settle()
    await database.end_all()

    assert database.cancelled == 1
    assert waiting.result() == "2 in lookup 2"


async def test_a_lookup_that_every_caller_has_left_is_cancelled_and_leaves_the_way_free() -> None:
    database = Database()
    tasks = await database.ask_together(1, 2)
    [waiting] = await database.ask(3)

    for task in tasks:
        task.cancel()
    await settle()
    await database.end_all()

    assert database.cancelled == 1
    assert database.lookups == [[0], [1, 2], [3]]
    assert waiting.result() == "3 in lookup 3"


@pytest.mark.parametrize("gone", [0, 1])
async def test_a_caller_cancelled_in_the_turn_before_its_lookup_leaves_it_to_the_others(gone: int) -> None:
    database = Database()
    tasks = [asyncio.create_task(database.loader.load(key)) for key in range(3)]
    await asyncio.sleep(0)

    tasks.pop(gone).cancel()
    await settle()
    await database.end()

    assert database.lookups == [[key for key in range(3) if key != gone]]
    assert [value and value[1:] for value in results(tasks)] == [" in lookup 1"] * 2


async def test_a_caller_cancelled_in_the_turn_before_its_lookup_leaves_the_way_free() -> None:
    database = Database()
    for _ in range(3):
        gone = asyncio.create_task(database.loader.load(1))
        await asyncio.sleep(0)
        gone.cancel()
        await settle()

    [next_one] = await database.ask(2)
    await database.end()

    assert next_one.result() == "2 in lookup 1"


async def test_a_caller_cancelled_while_it_waits_is_not_looked_up() -> None:
    database = Database()
    await database.ask(1)
    gone, stays = await database.ask(2, 3)

    gone.cancel()
    await settle()
    await database.end_all()

    assert database.lookups == [[1], [3]]
    assert stays.result() == "3 in lookup 2"


async def test_a_caller_cancelled_before_its_lookup_begins_leaves_the_way_free() -> None:
    database = Database()
    await database.ask(0)
    [gone] = await database.ask(1)
    database.when_ended = gone.cancel
    await database.end()

    [next_one] = await database.ask(2)
    await database.end_all()

    assert database.lookups == [[0], [2]]
    assert next_one.result() == "2 in lookup 2"


async def test_a_caller_cancelled_while_it_waits_keeps_no_place_from_another_one_of_the_same_key() -> None:
    database = Database()
    await database.ask(1)
    [gone] = await database.ask(2)
    gone.cancel()

    [stays] = await database.ask(2)
    await database.end_all()

    assert database.lookups == [[1], [2]]
    assert stays.result() == "2 in lookup 2"


async def test_a_caller_cancelled_at_the_moment_of_the_answer_harms_no_other() -> None:
    database = Database()
    await database.ask(1)
    gone, stays = await database.ask(2, 3)
    database.when_ended = partial(asyncio.get_running_loop().call_soon, gone.cancel)

    await database.end_all()

    assert gone.cancelled()
    assert stays.result() == "3 in lookup 2"


async def test_a_lookup_that_is_cancelled_from_outside_is_an_error_and_cancels_no_caller() -> None:
    database = Database()
    before = asyncio.all_tasks()
    [caller], [waiting] = await database.ask_together(1), await database.ask(2)
    [lookup] = asyncio.all_tasks() - before - {caller, waiting}

    lookup.cancel()
    await settle()
    await database.end_all()

    assert isinstance(caller.exception(), RuntimeError)
    assert waiting.result() == "2 in lookup 3"


async def test_a_lookup_cancelled_before_its_first_step_does_not_block_the_next() -> None:
    database = Database()
    before = asyncio.all_tasks()
    [first], [caller] = await database.ask(0), await database.ask(1)
    database.running.pop().set_result(None)
    while not (lookups := asyncio.all_tasks() - before - {first, caller}):
        await asyncio.sleep(0)

    lookups.pop().cancel()
    await settle()
    [next_one] = await database.ask(2)
    await database.end_all()

    assert isinstance(caller.exception(), RuntimeError)
    assert database.lookups == [[0], [2]]
    assert next_one.result() == "2 in lookup 2"


# --- errors ---------------------------------------------------------------------------------------------------


async def test_an_error_reaches_each_caller_of_its_lookup_and_no_other() -> None:
    database = Database()
    [first], [second, third] = await database.ask(1), await database.ask(2, 3)
    await database.end()
    [later] = await database.ask(4)

    await database.end(DatabaseDownError("gone"))
    await database.end_all()

    assert first.result() == "1 in lookup 1"
    assert [type(task.exception()) for task in (second, third)] == [DatabaseDownError] * 2
    assert [str(task.exception()) for task in (second, third)] == ["gone", "gone"]
    assert later.result() == "4 in lookup 3"


class QueryError(Exception):
    """An error whose class takes other arguments than it hands on, as many libraries' do."""

    def __init__(self, statement: str, *, code: int) -> None:
        super().__init__(f"The statement {statement} failed.")
        self.code = code


@pytest.mark.parametrize(
    "error",
    [
        QueryError("SELECT 1", code=7),
        ConnectionRefusedError(111, "Connection refused"),
        KeyError("a"),
        ExceptionGroup("several", [ValueError("a")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_each_caller_gets_an_error_of_its_own_that_says_the_same(error: Exception) -> None:
    database = Database()
    tasks = await database.ask_together(1, 2)
    await database.end(error)
    raised = [task.exception() for task in tasks]

    assert len({id(one) for one in [*raised, error]}) == 3
    for one in raised:
        assert isinstance(one, type(error))
        assert (str(one), one.args, vars(one)) == (str(error), error.args, vars(error))
        assert one.__cause__ is error, "where the lookup failed can be seen"


@pytest.mark.parametrize("returned", [None, [], ["a"], {1}, "text", 7], ids=repr)
async def test_what_is_not_a_mapping_is_a_type_error(returned: Any) -> None:
    async def find(keys: list[int]) -> Any:
        return returned

    with pytest.raises(TypeError, match=f"'{type(returned).__name__}'"):
        await BatchLoader(find).load(1)


async def test_a_key_that_was_not_asked_for_is_an_error_and_not_a_missing_value() -> None:
    """The usual slip: ids that are text in the cookie, and numbers in the database."""

    async def find(keys: list[str]) -> Mapping[Any, str]:
        return {int(key): "Ada" for key in keys}

    with pytest.raises(ConfigurationError, match=r"\b1\b.*'1'"):
        await BatchLoader(find).load("1")


async def test_a_lookup_that_asks_its_own_loader_raises_instead_of_waiting_for_itself() -> None:
    async def find(keys: list[int]) -> dict[int, str]:
        return {1: await asyncio.create_task(loader.load(2)) or ""}

    loader: BatchLoader[int, str] = BatchLoader(find)

    async with asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(ConfigurationError, match="wait for itself"):
            await loader.load(1)


# --- contexts, threads and event loops ------------------------------------------------------------------------


async def test_a_lookup_runs_in_an_empty_context_and_not_in_that_of_one_caller() -> None:
    """What one request knows is no answer for another one."""
    seen: list[str] = []

    async def find(keys: list[int]) -> dict[int, str]:
        seen.append(REQUEST.get())
        REQUEST.set("of the lookup")
        await asyncio.sleep(0)
        assert REQUEST.get() == "of the lookup"
        return {}

    loader: BatchLoader[int, str] = BatchLoader(find)
    REQUEST.set("of the caller")
    await asyncio.gather(loader.load(1), loader.load(2))
    await loader.load(3)

    assert seen == ["none", "none"]
    assert REQUEST.get() == "of the caller"


async def test_a_def_lookup_runs_in_a_thread() -> None:
    threads: list[threading.Thread] = []

    def find(keys: list[int]) -> dict[int, str]:
        threads.append(threading.current_thread())
        return {key: str(key) for key in keys}

    loader: BatchLoader[int, str] = BatchLoader(find)

    assert await asyncio.gather(loader.load(1), loader.load(2)) == ["1", "2"]
    assert await loader.load(0) == "0"
    assert len(threads) == 2
    assert threading.current_thread() not in threads


def test_event_loops_have_lookups_of_their_own_at_the_same_time() -> None:
    both_are_in = threading.Barrier(2, timeout=LONG_ENOUGH)

    async def find(keys: list[int]) -> dict[int, str]:
        await asyncio.to_thread(both_are_in.wait)
        return {key: threading.current_thread().name for key in keys}

    loader: BatchLoader[int, str] = BatchLoader(find)
    found: dict[str, Any] = {}

    def ask(name: str) -> None:
        found[name] = asyncio.run(loader.load(1))

    threads = [threading.Thread(target=ask, args=[name], name=name) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {"a": "a", "b": "b"}


def test_a_loop_that_ended_in_the_middle_of_a_lookup_is_forgotten_and_blocks_no_other() -> None:
    database = Database()

    async def leave() -> "weakref.ref[asyncio.AbstractEventLoop]":
        await database.ask(1, 1)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(leave())
    database.running.clear()

    async def come() -> str | None:
        [task] = await database.ask(2)
        await database.end()
        return await task

    assert asyncio.run(come()) == "2 in lookup 2"
    gc.collect()
    assert loop() is None


async def test_no_task_is_left_behind() -> None:
    database = Database()
    tasks = await database.ask(1, 2, 2, 3)
    tasks[0].cancel()
    await settle()
    await database.end_all()

    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- every interleaving ---------------------------------------------------------------------------------------

STEPS = st.tuples(st.sampled_from(["ask", "ask", "cancel", "end", "fail"]), st.integers(0, 30))


@pytest.mark.parametrize("concurrency", [1, 3])
@given(steps=st.lists(STEPS, max_size=40))
@settings(max_examples=examples(200))
async def test_race_in_any_order_no_caller_gets_a_stale_or_another_callers_value(
    concurrency: int, steps: list[tuple[str, int]]
) -> None:
    database = Database(concurrency)
    tasks: list[asyncio.Task[str | None]] = []
    keys: list[int] = []
    begun_before: list[int] = []

    for step, choice in steps:
        if step == "ask":
            keys.append(choice % 5)
            begun_before.append(len(database.lookups))
            tasks.append(asyncio.create_task(database.loader.load(choice % 5)))
        elif step == "cancel" and tasks:
            tasks[choice % len(tasks)].cancel()
        elif step in {"end", "fail"} and database.running:
            end = database.running.pop(choice % len(database.running))
            if not end.done():
                end.set_result(None) if step == "end" else end.set_exception(DatabaseDownError("gone"))
        for _ in range(choice % 4):
            await asyncio.sleep(0)
        assert len(database.running) <= concurrency
    await settle()
    await database.end_all()

    assert all(task.done() for task in tasks)
    given_out: list[str] = []
    for key, task, begun in zip(keys, tasks, begun_before, strict=True):
        if task.cancelled() or task.exception() is not None:
            continue
        value = task.result()
        assert value is not None
        of_key, _, _, number = value.split()
        assert int(of_key) == key, "another key's value"
        assert int(number) > begun, "a value that was read before it was asked for"
        given_out.append(value)
    assert len(given_out) == len(set(given_out)), "one value for two callers"
    assert all(len(lookup) == len(set(lookup)) for lookup in database.lookups)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(gone=st.sets(st.integers(0, 9)), turns=st.integers(0, 6))
@settings(max_examples=examples(100))
async def test_race_a_cancelled_caller_causes_no_further_lookup_for_the_others(gone: set[int], turns: int) -> None:
    database = Database(max_size=10)
    await database.ask(0)
    tasks = [asyncio.create_task(database.loader.load(key)) for key in range(10)]
    await asyncio.sleep(0)
    database.running.pop().set_result(None)
    for _ in range(turns):
        await asyncio.sleep(0)

    for number in gone:
        tasks[number].cancel()
    await settle()
    await database.end_all()

    assert len(database.lookups) <= 2
    assert all(tasks[number].cancelled() for number in gone)
    assert {task.result() for number, task in enumerate(tasks) if number not in gone} == {
        f"{number} in lookup 2" for number in range(10) if number not in gone
    }
