"""Error pages."""

import logging

import pytest
from quart import Quart, abort

from client import PASSWORD, Visitor, add_user
from databases import both_databases
from quartlogin.accounts import get_accounts
from quartlogin.accounts.pages.error_pages import PAGES


@pytest.mark.parametrize("status", sorted(PAGES))
async def test_every_error_has_a_page_in_the_style_of_the_others(app: Quart, visitor: Visitor, status: int) -> None:
    @app.get("/failing")
    async def failing() -> None:
        abort(status)

    page = await visitor.get("/failing")

    assert page.status == status
    title, sentence = PAGES[status]
    assert f"<h1>{title}</h1>" in page.text
    assert sentence.replace("'", "&#39;") in page.text
    assert "/static/accounts/style.css" in page.text


@pytest.mark.requirement("13.4.2", "16.5.1")
async def test_an_unexpected_error_tells_the_visitor_nothing_and_the_log_everything(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False

    @app.get("/failing")
    async def failing() -> None:
        raise KeyError("a secret of the program")

    with caplog.at_level(logging.ERROR):
        page = await visitor.get("/failing")

    assert page.status == 500
    assert f"<h1>{PAGES[500][0]}</h1>" in page.text
    assert "secret" not in page.text
    assert "a secret of the program" in caplog.text


@pytest.mark.requirement("16.5.2", "16.5.3")
@both_databases
@pytest.mark.parametrize("path", ["/", "/account", "/readyz"])
async def test_while_the_database_is_down_pages_are_503_and_logins_stay_valid(
    app: Quart, visitor: Visitor, path: str
) -> None:
    await visitor.register()
    store = get_accounts(app).store
    await store.database.close()

    down = await visitor.get(path)
    alive = await visitor.get("/healthz")
    await store.database.open()

    assert down.status == 503
    assert down.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in down.headers
    assert (alive.status, alive.text) == (200, "ok\n")
    assert await visitor.is_signed_in()


@pytest.mark.requirement("16.5.3")
@both_databases
async def test_while_the_database_is_down_a_password_is_not_called_wrong(app: Quart, visitor: Visitor) -> None:
    await add_user(app, "Alice")
    page = await visitor.get("/login")
    await get_accounts(app).store.database.close()

    answer = await visitor.post("/login", {"csrf_token": page.token, "username": "Alice", "password": PASSWORD})
    await get_accounts(app).store.database.open()

    assert answer.status == 503
    assert "not right" not in answer.text


async def test_the_pages_for_load_balancers_answer_in_plain_text(visitor: Visitor) -> None:
    healthy, ready = await visitor.get("/healthz"), await visitor.get("/readyz")

    assert (healthy.status, ready.status) == (200, 200)
    assert healthy.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert healthy.headers["Cache-Control"] == "no-store"
