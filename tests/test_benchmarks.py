"""The benchmarks' apps show the page that is measured, with the tables and classes of today."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from quart import Quart

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import accounts_users
import own_users
from driving import page, serving
from floor import make_floor
from ours import make_ours
from people import cookie_of_floor, cookie_of_login, fill

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
