"""Removing expired rows, in small batches."""

import asyncio
import time
from datetime import timedelta

import pytest
from quart import Quart

from client import Visitor
from databases import both_databases, run_sql
from quartlogin.accounts import Logins, cleanup, get_accounts
from quartlogin.accounts.audit import log
from quartlogin.accounts.audit.log import EventLimit, Events
from quartlogin.accounts.cleanup import Cleanup
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.database.models import Event

pytestmark = [pytest.mark.usefixtures("no_pauses"), both_databases]


async def test_expired_logins_and_old_events_go_and_the_others_stay(
    app: Quart, visitor: Visitor, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visitor.register()
    store, now = get_accounts(app).store, int(time.time())
    for number in range(250):
        await store.events.add(Event(f"old {number}", "sign_in_failed", None, now - 3 * 24 * 60 * 60, "", ""))
    batches: list[int] = []
    remove = Events.remove_before

    async def counted(events: Events, happened_at: int, at_most: int) -> int:
        batches.append(await remove(events, happened_at, at_most))
        return batches[-1]

    monkeypatch.setattr(Events, "remove_before", counted)

    removed = await Cleanup(store, timedelta(days=2), EventLimit(store.events)).clean()

    assert (removed, batches) == (250, [100, 100, 50, 0])
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == [(2,)]
    assert await visitor.is_signed_in()
    run_sql(database, "UPDATE quartlogin_logins SET expires_at = 1")
    assert await Cleanup(store, timedelta(days=2), EventLimit(store.events), [Logins()]).clean() == 1
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]


async def test_a_database_that_is_down_is_tried_again(
    app: Quart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cleanup, "_FIRST", 0)
    monkeypatch.setattr(cleanup, "_INTERVAL", 0)
    tries = 0

    async def fail(*_: object) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable("not now")
        keeping_house._task.cancel()  # type: ignore[union-attr]
        return 0

    monkeypatch.setattr(type(get_accounts(app).store.logins), "remove_expired", fail)
    store = get_accounts(app).store
    keeping_house = Cleanup(store, timedelta(days=2), EventLimit(store.events), [Logins()])

    await keeping_house.start()
    assert keeping_house._task is not None
    await asyncio.gather(keeping_house._task, return_exceptions=True)

    assert tries == 3
    assert ["not now" in record.getMessage() for record in caplog.records if record.module == "cleanup"] == [True] * 2


@pytest.mark.parametrize(
    "fault", [StoreUnavailable("not now"), KeyError("a bug")], ids=lambda fault: type(fault).__name__
)
async def test_a_removal_of_excess_events_that_fails_is_logged_and_tried_again(
    app: Quart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    monkeypatch.setattr(log, "_MAX_UNCHECKED", 1)
    store, outcomes = get_accounts(app).store, iter([fault, 0])

    async def remove(*_: object) -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(type(store.events), "remove_excess", remove)
    limit = EventLimit(store.events)

    for _ in range(2):
        limit.note(Event("one", "signed_in", "a user", 0, "", ""))
        assert limit._removing is not None
        await limit._removing

    assert [record.module for record in caplog.records] == ["log"]
    assert [*outcomes] == []
