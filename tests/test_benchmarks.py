"""The benchmarks' apps show the page that is measured, with the tables and classes of today."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import accounts_users
import own_users
import tracing as tracing_benchmark
from driving import page, serving
from floor import make_floor
from ours import make_ours
from people import cookie_of_floor, cookie_of_login, fill

from quartlogin import tracing

USERS = 3


@pytest.mark.parametrize(
    ("make_app", "make_cookie"),
    [
        (make_floor, cookie_of_floor),
        (make_ours, cookie_of_login),
        (partial(own_users.make_app, register=own_users.one_by_one), cookie_of_login),
        (partial(own_users.make_app, register=own_users.together), cookie_of_login),
        (partial(accounts_users.make_app, kind=accounts_users.PeopleTogether), cookie_of_login),
        (partial(accounts_users.make_app, kind=accounts_users.JoinedPeople), cookie_of_login),
    ],
    ids=["by hand", "quartlogin", "user_loader", "users_loader", "accounts with by_ids", "accounts with columns"],
)
async def test_an_app_of_the_benchmarks_greets_a_signed_in_user(
    tmp_path: Path, make_app: Callable[[str], Quart], make_cookie: Callable[[Quart, int, int], str]
) -> None:
    database = str(tmp_path / "people.sqlite3")
    await fill(database, USERS, USERS)
    app = make_app(database)

    async with serving(app):
        greeted = await page(app, "/home", f"session={make_cookie(app, 1, USERS)}")
        anonymous = await page(app, "/home")

    assert ("user1" in greeted, "user1" in anonymous) == (True, False)


@pytest.mark.parametrize("make", [tracing_benchmark.logged_in_page, tracing_benchmark.one_sign_in])
async def test_the_benchmark_of_tracing_asks_with_and_without_each_listener(
    tmp_path: Path, make: Callable[..., Awaitable[Any]]
) -> None:
    arguments = (USERS, 1) if make is tracing_benchmark.logged_in_page else (1,)
    _, ask, app, _ = await make(str(tmp_path / "people.sqlite3"), *arguments)

    async with serving(app):
        for listener, wrap in tracing_benchmark.listeners(app).values():
            told: list[tracing.Step] = []
            with tracing.listening(listener), tracing.listening(told.append):
                await wrap(ask)()
            assert "user" in {step.name for step in told}
