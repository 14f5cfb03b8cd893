"""The steps of a request, told to listeners; nothing is told without one, and never a secret."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from browsers import KEY
from explained import add_pages
from quart import Quart, render_template_string
from users import ADA, User

from quartlogin import (
    BatchLoader,
    LoginManager,
    SignedSessionInterface,
    logout_user,
    request_steps,
    tracing,
)
from quartlogin.explaining.recorder import Recorder
from quartlogin.sessions import inspection
from quartlogin.tracing import STEPS, Step

PAGE = "{% if true %}\n{{ current_user.name }}{{ current_user.name }}{% endif %}"


@pytest.fixture
def site(app: Quart) -> Quart:
    app.session_interface = SignedSessionInterface()

    add_pages(app)

    @app.get("/page")
    async def page() -> str:
        return await render_template_string(PAGE)

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return "out"

    return app


@pytest.fixture
def steps() -> list[Step]:
    return []


def names(steps: list[Step]) -> list[str]:
    return [step.name for step in steps]


async def test_a_remember_cookie_is_told_before_the_loader_that_it_leads_to(site: Quart, steps: list[Step]) -> None:
    browser = site.test_client()
    await browser.post("/login")
    assert browser.cookie_jar is not None
    browser.cookie_jar.clear_session_cookies()

    with tracing.listening(steps.append):
        await browser.get("/guarded")

    told = [name for name in names(steps) if name in {"remember_cookie", "loader", "restored"}]
    assert told == ["remember_cookie", "loader", "restored"]


async def test_the_steps_of_a_sign_in_are_told_in_their_order(site: Quart, steps: list[Step]) -> None:
    browser = site.test_client()
    with tracing.listening(steps.append):
        await browser.post("/login")
        signing_in = names(steps)
        steps.clear()
        await browser.get("/page")
    await browser.get("/page")

    assert signing_in == ["request", "session_cookie", "login", "cookie_written", "cookie_written", "response"]
    assert names(steps) == [
        "request",
        "template",
        "session_cookie",
        "session",
        "protection",
        "loader",
        "user",
        "response",
    ]
    assert {*names(steps)} <= STEPS.keys()
    by_name = {step.name: step.details for step in steps}
    assert by_name["template"]["line"] == 2
    assert by_name["session_cookie"]["outcome"] == "valid"
    assert by_name["session"]["user_id"] == by_name["loader"]["user_id"] == ADA.id
    assert by_name["loader"]["outcome"] == "user"


async def test_a_guard_tells_what_it_decided_and_how_it_answers(site: Quart, steps: list[Step]) -> None:
    with tracing.listening(steps.append):
        await site.test_client().get("/guarded")

    by_name = {step.name: step.details for step in steps}
    assert (by_name["guard"]["guard"], by_name["guard"]["outcome"]) == ("login_required", "refused")
    assert by_name["unauthorized"]["outcome"] == "401"
    assert by_name["response"]["status"] == 401


async def test_without_listeners_no_step_is_made(site: Quart) -> None:
    """Nothing that tells steps is called, not even a function that would look whether anybody listens."""
    files = {module.__file__ for module in (tracing, request_steps, inspection)}
    called: list[str] = []

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename in files:
            called.append(frame.f_code.co_name)

    browser = site.test_client()
    await browser.post("/login")
    sys.setprofile(watch)
    try:
        await browser.get("/page")
        await browser.get("/guarded")
    finally:
        sys.setprofile(None)

    assert called == []


async def test_no_step_contains_a_secret(site: Quart, steps: list[Step]) -> None:
    browser = site.test_client()
    with tracing.listening(steps.append):
        await browser.post("/login", form={"password": "SECRET-password"})
        cookies = [cookie.value or "" for cookie in browser.cookie_jar]
        browser.set_cookie("localhost", "other", "SECRET-cookie")
        await browser.get("/page?token=SECRET-query", headers={"X-Key": "SECRET-header"})
        await site.test_client().get("/guarded", headers={"Authorization": "Bearer SECRET-token"})
        browser.set_cookie("localhost", "session", "SECRET-session")
        await browser.get("/guarded")

    told = repr([(step.name, dict(step.details), step.seconds) for step in steps])
    assert len(cookies) == 2
    parts = [part for cookie in cookies for part in cookie.split(".") if part]
    assert [secret for secret in ("SECRET", KEY, *parts) if secret in told] == []


async def test_a_listener_that_fails_is_logged_and_breaks_no_request(
    site: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(step: Step) -> None:
        raise ZeroDivisionError

    with tracing.listening(fail):
        response = await site.test_client().get("/page")

    assert response.status_code == 200
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


async def test_the_cookie_of_quarts_own_sessions_is_told_before_the_session(app: Quart, steps: list[Step]) -> None:
    @app.get("/page")
    async def page() -> str:
        return await render_template_string(PAGE)

    with tracing.listening(steps.append):
        await app.test_client().get("/page", headers={"Cookie": "session=e30.a.b"})

    assert names(steps)[2:4] == ["session_cookie", "session"]
    assert steps[2].details["outcome"] == "bad signature"


async def test_each_of_two_recorders_keeps_each_step_once(site: Quart, steps: list[Step]) -> None:
    recorders = Recorder(site), Recorder(site)
    with tracing.listening(recorders[0]), tracing.listening(recorders[1]), tracing.listening(steps.append):
        await site.test_client().get("/page")

    kept = [[names(recording.steps) for recording in recorder.recordings] for recorder in recorders]
    assert kept == [[names(steps)]] * 2


async def test_a_websocket_is_told_to_be_one(site: Quart, steps: list[Step]) -> None:
    @site.websocket("/live")
    async def live() -> None: ...

    with tracing.listening(steps.append):
        async with site.test_client().websocket("/live"):
            pass

    assert steps[0].details["websocket"] is True


async def test_a_lookup_of_many_is_told_to_each_request_that_waits(
    bare_app: Quart, login_manager: LoginManager[User], make_app: Callable[..., Quart], sign_in: Any
) -> None:
    login_manager.init_app(bare_app)

    @login_manager.users_loader
    async def load(user_ids: list[str]) -> dict[str, User]:
        return dict.fromkeys(user_ids, ADA)

    @bare_app.get("/page")
    async def page() -> str:
        return await render_template_string(PAGE)

    recorder, another = Recorder(bare_app), Recorder(make_app("other"))
    with tracing.listening(recorder), tracing.listening(another):
        browser = await sign_in(bare_app, ADA.id)
        await browser.get("/page")

    (recording,) = recorder.recordings
    assert recording.details("lookup")["size"] == 1
    assert recording.details("loader")["loader"] == "users_loader"
    assert not another.recordings


async def test_a_step_that_cannot_be_told_is_logged_and_breaks_no_request(
    site: Quart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **details: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tracing, "label_of", fail)
    with tracing.listening(lambda step: None):
        response = await site.test_client().post("/login")

    assert response.status_code == 200
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


async def test_a_cookie_without_a_name_is_not_told(site: Quart, steps: list[Step]) -> None:
    with tracing.listening(steps.append):
        await site.test_client().get("/page", headers={"Cookie": "SECRET; a=1; =SECRET; b="})

    assert steps[0].details["cookies"] == ("a", "b")


async def test_a_request_that_asks_for_much_is_told_each_lookup_once(make_app: Callable[..., Quart]) -> None:
    app, recorder = make_app(), None
    loader: BatchLoader[int, int] = BatchLoader(square)

    @app.get("/page")
    async def page() -> str:
        return str(sum(await asyncio.gather(*(loader.load(number) for number in range(50)))))  # type: ignore[arg-type]

    LoginManager(app)
    recorder = Recorder(app)
    with tracing.listening(recorder):
        await app.test_client().get("/page")

    (recording,) = recorder.recordings
    assert sum(step.details["size"] for _, step in recording.all("lookup")) == 50


async def square(numbers: list[int]) -> dict[int, int]:
    return {number: number**2 for number in numbers}


async def test_a_task_that_a_lookup_starts_tells_no_steps_of_the_request_later(make_app: Callable[..., Quart]) -> None:
    app, tasks = make_app(), []
    LoginManager(app)

    async def start_task(keys: list[int]) -> dict[int, int]:
        async def tell_later() -> None:
            await asyncio.sleep(0)
            await done.wait()
            tracing.tell("statement", sql="SELECT 1")

        tasks.append(asyncio.create_task(tell_later()))
        return {key: key for key in keys}

    done, loader = asyncio.Event(), BatchLoader(start_task)

    @app.get("/page")
    async def page() -> str:
        return str(await loader.load(1))

    recorder = Recorder(app)
    with tracing.listening(recorder):
        await app.test_client().get("/page")
        done.set()
        await asyncio.gather(*tasks)

    (recording,) = recorder.recordings
    assert [*recording.all("statement")] == []


def test_a_listener_that_was_added_twice_is_removed_once(steps: list[Step]) -> None:
    with tracing.listening(steps.append):
        with tracing.listening(steps.append):
            pass
        tracing.tell("response")

    assert len(steps) == 1
    assert tracing.listeners == ()
