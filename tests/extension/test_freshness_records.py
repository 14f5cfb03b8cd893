"""`FreshnessRecords`: the app's records decide whether a login is fresh, not the session cookie alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from browsers import Clock
from quart import Quart, render_template_string, websocket
from quart.testing import QuartClient
from quart.testing.connections import WebsocketResponseError
from users import ADA, SignIn, User
from werkzeug.datastructures import WWWAuthenticate

from quartlogin import (
    FreshnessRecords,
    LoginManager,
    NoRecords,
    UserNotLoadedError,
    current_user,
    fresh_login_required,
    login_fresh,
    login_required,
    login_user,
    make_guard,
)

QUARTER = timedelta(minutes=15)
JSON = {"Accept": "application/json"}


class Kept(NoRecords):
    """Records that say what a test wants."""

    since: int | None = None

    def fresh_since(self) -> int | None:
        return self.since


@fresh_login_required
async def secrets() -> str:
    return f"secrets of {current_user.name}"


@fresh_login_required(max_age=QUARTER)
async def recent() -> str:
    return f"secrets of {current_user.name}"


@pytest.fixture
def kept(login_manager: LoginManager[User]) -> Kept:
    login_manager.records = records = Kept()
    return records


@pytest.fixture
def site(app: Quart, kept: Kept) -> Quart:
    app.config["SESSION_PROTECTION"] = None
    app.add_url_rule("/secrets", view_func=secrets)
    app.add_url_rule("/recent", view_func=recent)
    return app


@pytest.fixture
async def ada(site: Quart, sign_in: SignIn) -> Any:
    """A browser whose cookie says that its login is fresh."""
    return await sign_in(site, "1", _login_id="x", _fresh=True, _fresh_at=int(time.time()))


async def status(browser: QuartClient, path: str) -> int:
    return (await browser.get(path, headers=JSON)).status_code


def test_records_are_asked_if_they_have_the_method() -> None:
    assert isinstance(Kept(), FreshnessRecords)
    assert not isinstance(NoRecords(), FreshnessRecords)


@pytest.mark.requirement("7.5.1")
async def test_replay_a_cookie_that_says_fresh_is_not_believed_against_the_records(ada: Any, kept: Kept) -> None:
    before = await status(ada, "/secrets"), await status(ada, "/recent")
    kept.since = int(time.time())

    assert before == (401, 401)
    assert (await status(ada, "/secrets"), await status(ada, "/recent")) == (200, 200)


async def test_the_age_is_that_of_the_records(ada: Any, kept: Kept, clock: Clock) -> None:
    kept.since = int(clock.now - QUARTER.total_seconds() - 1)

    assert (await status(ada, "/secrets"), await status(ada, "/recent")) == (200, 401)


async def test_records_do_not_make_a_session_fresh_that_is_not(site: Quart, sign_in: SignIn, kept: Kept) -> None:
    kept.since = int(time.time())
    browser = await sign_in(site, "1", _login_id="x", _fresh=False)

    assert await status(browser, "/secrets") == 401


async def test_a_sign_in_counts_at_once(site: Quart) -> None:
    @site.before_request
    async def sign_in_first() -> None:
        await login_user(ADA)

    assert await status(site.test_client(), "/recent") == 200


async def test_login_fresh_needs_the_user_where_records_decide(site: Quart, ada: Any, kept: Kept) -> None:
    kept.since = int(time.time())

    @site.get("/early")
    async def early() -> str:
        try:
            return str(login_fresh())
        except UserNotLoadedError:
            await current_user
            return f"later {login_fresh()}"

    @site.get("/in-a-thread")
    def in_a_thread() -> str:
        return str(login_fresh())

    assert await (await ada.get("/early")).get_data(as_text=True) == "later True"
    assert await (await ada.get("/in-a-thread")).get_data(as_text=True) == "True"
    assert await (await site.test_client().get("/early")).get_data(as_text=True) == "False"


@pytest.mark.parametrize("name", ["login_fresh", "given"])
async def test_a_template_that_calls_login_fresh_loads_the_user(site: Quart, ada: Any, kept: Kept, name: str) -> None:
    kept.since = int(time.time())
    site.jinja_env.globals["login_fresh"] = login_fresh

    @site.get("/template")
    async def template() -> str:
        return await render_template_string(f"{{{{ {name}() }}}}", given=login_fresh)

    assert await (await ada.get("/template")).get_data(as_text=True) == "True"


async def test_step_up_the_challenge_has_the_maximum_age(ada: Any) -> None:
    answer = await ada.get("/recent", headers=JSON)

    challenge = WWWAuthenticate.from_header(answer.headers["WWW-Authenticate"])
    assert challenge is not None
    assert challenge.parameters == {"error": "insufficient_user_authentication", "max_age": "900"}


# --- make_guard


@pytest.fixture
def guarded(app: Quart, login_manager: LoginManager[User]) -> list[bool]:
    """Views of every kind, guarded by a question whose answer is the last of a list."""
    answers = [False]

    async def is_allowed() -> bool:
        return answers[-1]

    async def refuse() -> Any:
        return await login_manager.needs_refresh(acr_values=["password", "totp"])

    guard = make_guard(is_allowed, refuse)

    @app.get("/async")
    @guard
    async def coroutine() -> str:
        return current_user.name

    @app.get("/def")
    @login_required
    @guard
    def function() -> str:
        return current_user.name

    @app.get("/generator")
    @guard
    async def generator() -> AsyncIterator[str]:
        yield current_user.name

    @app.websocket("/live")
    @guard
    @guard
    async def live() -> None:
        await websocket.send(current_user.name)

    return answers


async def test_a_guard_asks_its_question_for_views_of_every_kind(
    app: Quart, sign_in: SignIn, guarded: list[bool]
) -> None:
    browser, paths = await sign_in(app), ["/async", "/def", "/generator"]

    refused = [await status(browser, path) for path in paths]
    guarded.append(True)
    allowed = [await (await browser.get(path)).get_data(as_text=True) for path in paths]

    assert refused == [401, 401, 401]
    assert allowed == ["Ada", "Ada", "Ada"]
    assert [await status(app.test_client(), path) for path in paths] == [401, 401, 401]


async def test_a_guard_refuses_a_websocket(app: Quart, sign_in: SignIn, guarded: list[bool]) -> None:
    browser = await sign_in(app)

    with pytest.raises(WebsocketResponseError) as refusal:
        async with browser.websocket("/live") as connection:
            await connection.receive()
    guarded.append(True)
    async with asyncio.timeout(60), browser.websocket("/live") as connection:
        first = await connection.receive()

    assert refusal.value.response.status_code == 401
    assert first == "Ada"


async def test_step_up_the_challenge_names_the_alternatives(app: Quart, sign_in: SignIn, guarded: list[bool]) -> None:
    answer = await (await sign_in(app)).get("/async", headers=JSON)

    challenge = WWWAuthenticate.from_header(answer.headers["WWW-Authenticate"])
    assert challenge is not None
    assert challenge.parameters["acr_values"] == "password totp"
