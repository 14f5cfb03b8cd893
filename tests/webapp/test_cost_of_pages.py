"""The cost of each page, counted: round trips, thread hops, signatures, hashes, tasks."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiosqlite
import pytest
from argon2 import PasswordHasher
from itsdangerous import Signer
from quart import Quart
from quart.testing import QuartClient

from client import PASSWORD, Visitor
from quartlogin import UserNotLoadedError, current_user
from quartlogin.accounts import get_accounts
from quartlogin.sessions.serializer import CachingSigner
from quartlogin.webapp import pages

#: What Quart itself does for each request, whatever the page: it signs nothing, and hops nowhere.
NOTHING: dict[str, int] = {}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str, called: str) -> None:
        original = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counts[called] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(aiosqlite.Connection, "_execute", "trips")
    count(ThreadPoolExecutor, "submit", "thread hops")
    count(Signer, "get_signature", "signed")
    for signer in (Signer, CachingSigner):
        count(signer, "verify_signature", "verified")
    count(PasswordHasher, "verify", "hashes")
    count(PasswordHasher, "hash", "hashes")
    return counts


@pytest.fixture
async def signed_in(visitor: Visitor, done: Counter[str]) -> Visitor:
    """Somebody who has signed in, and has been greeted for it."""
    await visitor.register()
    await visitor.get("/")  # which takes the greeting out of the session, so that the cookie is a new one
    await visitor.get("/")
    done.clear()
    return visitor


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/accounts/style.css", "/nowhere"])
async def test_a_visitor_without_cookies_costs_nothing(visitor: Visitor, done: Counter[str], path: str) -> None:
    await visitor.get(path)

    assert {name: count for name, count in done.items() if name != "thread hops" or "static" not in path} == NOTHING


@pytest.mark.parametrize("path", ["/healthz", "/favicon.ico"])
async def test_public_files_read_no_cookie(signed_in: Visitor, done: Counter[str], path: str) -> None:
    await signed_in.get(path)

    assert done["trips"] == done["verified"] == 0


async def test_the_home_page_of_a_signed_in_user_is_one_round_trip(signed_in: Visitor, done: Counter[str]) -> None:
    await signed_in.get("/")

    assert done == {"trips": 1}


async def test_the_home_page_finds_out_who_is_there_when_its_template_asks(
    signed_in: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    render, began = pages.render_template, []

    async def watch(name: str) -> str:
        with pytest.raises(UserNotLoadedError):
            bool(current_user)
        began.append(name)
        return await render(name)

    monkeypatch.setattr(pages, "render_template", watch)
    page = await signed_in.get("/")

    assert began == ["webapp/home.html"]
    assert "Hello, Alice." in page.text


async def test_a_cookie_is_verified_when_it_is_seen_first(app: Quart, signed_in: Visitor, done: Counter[str]) -> None:
    app.session_interface = type(app.session_interface)()  # another process

    for _ in range(3):
        await signed_in.get("/")

    assert done["verified"] == 1


async def test_a_wrong_and_a_right_password_are_one_hash_each(
    visitor: Visitor, new_visitor: Callable[[], Visitor], done: Counter[str]
) -> None:
    await visitor.register()
    counts = []
    for password in ("not the right password", PASSWORD):
        done.clear()
        await new_visitor().sign_in(password=password)
        counts.append((done["hashes"], done["thread hops"]))

    assert counts == [(1, 1), (1, 1)]


async def test_pages_that_are_asked_for_together_share_their_trips(
    app: Quart, signed_in: Visitor, done: Counter[str]
) -> None:
    client: QuartClient = signed_in.client

    answers = await asyncio.gather(*(client.get("/") for _ in range(32)))

    assert {answer.status_code for answer in answers} == {200}
    assert done["trips"] <= 4
    assert get_accounts(app).store.database.reads_at_once == 1
