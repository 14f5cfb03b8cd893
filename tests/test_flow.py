"""The flow that the package exists for, told once from beginning to end against the real application.

The twelve steps are those of the README's diagrams, and of `quartlogin flow`.
"""

from collections.abc import Awaitable
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, render_template_string

from client import KEY, PASSWORD, Visitor, add_user
from quartlogin.accounts.features.logins.user_loader import LoginFinder


@pytest.fixture
def loader_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the database was asked for."""
    ask = LoginFinder.find
    calls: list[str] = []

    def count(finder: LoginFinder[Any], id_hash: str, user_id: str, *times: int) -> Awaitable[Any]:
        calls.append(user_id)
        return ask(finder, id_hash, user_id, *times)

    monkeypatch.setattr(LoginFinder, "find", count)
    return calls


def read_cookie(app: Quart, visitor: Visitor) -> dict[str, object]:
    serializer = app.session_interface.get_signing_serializer(app)
    assert isinstance(serializer, URLSafeTimedSerializer)
    return serializer.loads(visitor.cookies["quartlogin"])


async def test_the_whole_flow(app: Quart, visitor: Visitor, loader_calls: list[str]) -> None:
    user = await add_user(app, "Alice")

    # 1. The user opens the login page, and the handler renders its template.
    page = await visitor.get("/login")
    assert page.status == 200
    assert "<h1>Sign in</h1>" in page.text

    # 2. The user submits name and password; the same handler runs again, now with POST.
    answer = await visitor.post("/login", {"csrf_token": page.token, "username": "Alice", "password": PASSWORD})

    # 3. and 4. The credentials were right, so `login_user` wrote the user's id into the session: a cookie that is
    # signed with the secret key.
    session = read_cookie(app, visitor)
    assert session["_user_id"] == user.id
    assert session["_fresh"] is True
    assert len(str(session["_login_id"])) == 32
    assert KEY not in visitor.cookies["quartlogin"]

    # 5. The view redirects to the home page.
    assert (answer.status, answer.location) == (302, "/")

    # 6. and 7. The browser follows; the home view runs and renders its template.
    assert loader_calls == []
    home = await visitor.get("/")

    # 8. to 11. The template names `current_user`, which nobody has loaded yet in this request: the `user_loader` is
    # awaited with the id from the session, and asks the database through aiosqlite. Named three times, loaded once.
    assert loader_calls == [user.id]

    # 12. The template was rendered with that user.
    assert "Hello, Alice." in home.text

    # `login_required` lets the view run only for somebody who is signed in ...
    assert (await visitor.get("/account")).status == 200

    # ... and after `logout_user` the session holds no user any more.
    await visitor.sign_out()
    assert "_user_id" not in read_cookie(app, visitor)
    assert (await visitor.get("/account")).location == "/login?next=%2Faccount"


async def test_a_page_that_does_not_name_the_user_calls_no_loader(
    app: Quart, visitor: Visitor, loader_calls: list[str]
) -> None:
    await visitor.register()

    await visitor.get("/healthz")
    await visitor.get("/nowhere")
    await visitor.get("/static/accounts/style.css")

    assert loader_calls == []


async def test_a_page_that_names_the_user_often_asks_once(
    app: Quart, visitor: Visitor, loader_calls: list[str]
) -> None:
    @app.get("/often")
    async def often() -> str:
        return await render_template_string("{% for _ in range(10) %}{{ current_user.username }} {% endfor %}")

    await visitor.register()

    page = await visitor.get("/often")

    assert page.text.count("Alice") == 10
    assert len(loader_calls) == 1


async def test_an_anonymous_visitor_is_not_asked_for_in_the_database(visitor: Visitor, loader_calls: list[str]) -> None:
    page = await visitor.get("/")

    assert "Sign in" in page.text
    assert loader_calls == []


async def test_a_visitor_who_only_looks_gets_no_cookie(visitor: Visitor) -> None:
    page = await visitor.get("/")

    assert "Set-Cookie" not in page.headers
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in page.headers["Vary"]
