"""Reading the user after the view: receivers, teardown functions, background tasks, tests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, has_request_context, request_finished, stream_with_context
from users import ADA, GRACE, SignIn, User

from quartlogin import (
    Login,
    LoginManager,
    NoRecords,
    RequestNeededError,
    UserNotLoadedError,
    current_user,
    login_id,
    login_user,
)

LONG_ENOUGH = 60  # seconds until a test gives up on what hangs


class Noted:
    """What somebody saw who asked for the user, and what went wrong."""

    def __init__(self) -> None:
        self.users: list[Any] = []
        self.errors: list[Exception] = []
        self.done = asyncio.Event()

    async def ask(self) -> None:
        try:
            self.users.append(await current_user)
        except Exception as error:
            self.errors.append(error)
        self.done.set()


@pytest.fixture
async def noted() -> Noted:
    return Noted()


@pytest.fixture
def with_home(app: Quart) -> Quart:
    @app.get("/")
    async def home() -> str:
        return "the same for everybody"

    return app


async def test_a_receiver_of_request_finished_finds_the_user(with_home: Quart, sign_in: SignIn, noted: Noted) -> None:
    async def receive(sender: Quart, **_: Any) -> None:
        await noted.ask()

    with request_finished.connected_to(receive, with_home):
        response = await (await sign_in(with_home)).get("/")

    assert (noted.users, noted.errors, response.status_code) == ([ADA], [], 200)


async def test_an_answer_is_private_if_a_receiver_of_request_finished_has_looked(
    with_home: Quart, sign_in: SignIn, noted: Noted
) -> None:
    """It may write what it saw into the answer."""

    async def receive(sender: Quart, **_: Any) -> None:
        await noted.ask()

    with request_finished.connected_to(receive, with_home):
        response = await (await sign_in(with_home)).get("/")

    assert response.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in response.vary


async def test_a_receiver_finds_the_user_of_a_request_that_names_another_origin(
    with_home: Quart, sign_in: SignIn, noted: Noted
) -> None:
    """Only for websockets is that a reason to leave the cookies out."""

    async def receive(sender: Quart, **_: Any) -> None:
        await noted.ask()

    with request_finished.connected_to(receive, with_home):
        await (await sign_in(with_home)).get("/", headers={"Origin": "https://elsewhere.example"})

    assert noted.users == [ADA]


async def test_a_login_that_comes_back_after_the_view_keeps_its_remember_cookie(
    with_home: Quart, login_manager: LoginManager[User], noted: Noted
) -> None:
    """A new secret would never reach the browser, whose cookie would then count as stolen."""
    restored: list[str | None] = []

    class Records(NoRecords):
        async def login_restored(self, login: Login, new_secret: str | None) -> bool:
            restored.append(new_secret)
            return False

    login_manager.records = Records()

    @with_home.post("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    async def receive(sender: Quart, **_: Any) -> None:
        await noted.ask()

    client = with_home.test_client()
    await client.post("/login")
    assert client.cookie_jar is not None
    client.cookie_jar.clear_session_cookies()
    with request_finished.connected_to(receive, with_home):
        response = await client.get("/")

    assert (noted.users, restored) == ([ADA], [None])
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_a_teardown_function_finds_the_user(with_home: Quart, sign_in: SignIn, kind: str) -> None:
    names: list[str] = []

    async def note(error: BaseException | None) -> None:
        names.append((await current_user).name)

    def note_in_thread(error: BaseException | None) -> None:
        names.append(current_user.name)

    client = await sign_in(with_home)
    with_home.teardown_request({"async def": note, "def": note_in_thread}[kind])
    response = await client.get("/")

    assert (names, response.status_code) == (["Ada"], 200)


async def test_a_teardown_function_of_a_streamed_answer_finds_the_user(app: Quart, sign_in: SignIn) -> None:
    names: list[str] = []

    @app.get("/")
    async def stream() -> Any:
        @stream_with_context
        async def parts() -> AsyncIterator[str]:
            yield "a"
            yield "b"

        return parts()

    client = await sign_in(app)

    @app.teardown_request
    async def note(error: BaseException | None) -> None:
        names.append((await current_user).name)

    response = await client.get("/")

    assert await response.get_data(as_text=True) == "ab"
    assert set(names) == {"Ada"}


# --- streamed bodies ------------------------------------------------------------------------------------------


async def streamed(app: Quart, client: Any, ask: Any, *, before: Any = None) -> tuple[list[Any], list[Exception]]:
    """Stream a body that asks; returns what it saw, and what was raised."""
    seen: list[Any] = []
    errors: list[Exception] = []

    @app.get("/")
    async def stream() -> Any:
        if before is not None:
            await before()

        @stream_with_context
        async def parts() -> AsyncIterator[str]:
            yield "a"
            try:
                seen.append(await ask())
            except UserNotLoadedError as error:
                errors.append(error)
            yield "b"

        return parts()

    response = await client.get("/")
    assert await response.get_data(as_text=True) == "ab"
    return seen, errors


async def ask_for_user() -> Any:
    return await current_user


async def ask_in_task() -> Any:
    return await asyncio.create_task(ask_for_user())


async def ask_for_login() -> Any:
    return login_id()


@pytest.mark.parametrize("ask", [ask_for_user, ask_in_task, ask_for_login])
async def test_a_streamed_body_whose_headers_let_caches_keep_it_is_refused_the_user(
    app: Quart, sign_in: SignIn, ask: Any
) -> None:
    seen, errors = await streamed(app, await sign_in(app), ask)

    assert seen == []
    assert ["`await current_user`" in str(error) for error in errors] == [True]


async def test_a_task_that_looks_meanwhile_opens_no_streamed_body(app: Quart, sign_in: SignIn, noted: Noted) -> None:
    """The headers are sent by then, whoever looks."""
    begun = asyncio.Event()

    async def look_when_begun() -> None:
        await begun.wait()
        await noted.ask()

    async def start() -> None:
        app.background_tasks.add(asyncio.create_task(look_when_begun()))

    async def ask() -> Any:
        begun.set()
        await noted.done.wait()
        return await current_user

    async with asyncio.timeout(LONG_ENOUGH):
        seen, errors = await streamed(app, await sign_in(app), ask, before=start)

    assert noted.users == [ADA]
    assert (seen, len(errors)) == ([], 1)


async def test_a_streamed_body_whose_view_has_asked_sees_the_user(app: Quart, sign_in: SignIn) -> None:
    seen, errors = await streamed(app, await sign_in(app), ask_for_user, before=ask_for_user)

    assert (seen, errors) == ([ADA], [])


async def test_a_streamed_body_is_closed_where_its_reader_leaves(app: Quart) -> None:
    closed: list[str] = []

    @app.get("/")
    async def stream() -> Any:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a"
                    await asyncio.sleep(0)
            finally:
                closed.append("closed")

        return parts()

    async with asyncio.timeout(LONG_ENOUGH), app.test_client().request("/") as connection:
        await connection.send_complete()
        await connection.receive()
        await connection.disconnect()
        while not closed:
            await asyncio.sleep(0)

    assert closed == ["closed"]


async def test_signing_in_in_a_streamed_body_is_an_error(app: Quart) -> None:
    """Its cookie would be lost."""
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await login_user(ADA)
        except RequestNeededError as error:
            errors.append(error)

    await streamed(app, app.test_client(), ask)

    assert len(errors) == 1


# --- background tasks -----------------------------------------------------------------------------------------


@pytest.fixture
def in_background(app: Quart, noted: Noted) -> Quart:
    """An app whose page starts a background task that asks."""

    @app.get("/")
    async def home() -> str:
        app.add_background_task(noted.ask)
        return ""

    return app


async def test_a_background_task_finds_the_user_or_an_error_that_names_as_user(
    in_background: Quart, sign_in: SignIn, noted: Noted
) -> None:
    """Quart 0.22 keeps the request for it, 0.23 does not; `None` it never gets in silence."""
    kept_by_quart: list[bool] = []

    @in_background.before_request
    async def look() -> None:
        async def note() -> None:
            kept_by_quart.append(has_request_context())

        in_background.add_background_task(note)

    await (await sign_in(in_background)).get("/")
    async with asyncio.timeout(LONG_ENOUGH):
        await noted.done.wait()

    if kept_by_quart == [True]:
        assert (noted.users, noted.errors) == ([ADA], [])
    else:
        assert noted.users == []
        assert ["as_user" in str(error) for error in noted.errors] == [True]


async def test_a_plain_read_in_a_background_task_is_never_none(app: Quart, sign_in: SignIn) -> None:
    outcomes: list[str] = []
    done = asyncio.Event()

    async def work() -> None:
        try:
            outcomes.append(current_user.name)
        except UserNotLoadedError:
            outcomes.append("refused")
        done.set()

    @app.get("/")
    async def home() -> str:
        app.add_background_task(work)
        return ""

    await (await sign_in(app)).get("/")
    async with asyncio.timeout(LONG_ENOUGH):
        await done.wait()

    assert outcomes == ["refused"]


async def test_a_background_task_acts_as_the_user_whom_it_is_given(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], noted: Noted
) -> None:
    async def work(user: User) -> None:
        async with login_manager.as_user(user):
            await noted.ask()

    @app.get("/")
    async def home() -> str:
        app.add_background_task(work, await current_user)
        return ""

    await (await sign_in(app, "2")).get("/")
    async with asyncio.timeout(LONG_ENOUGH):
        await noted.done.wait()

    assert (noted.users, noted.errors) == ([GRACE], [])


async def test_a_task_of_the_views_own_finds_the_user(app: Quart, sign_in: SignIn, noted: Noted) -> None:
    tasks: list[asyncio.Task[None]] = []

    @app.get("/")
    async def home() -> str:
        tasks.append(asyncio.create_task(noted.ask()))
        return ""

    await (await sign_in(app)).get("/")
    async with asyncio.timeout(LONG_ENOUGH):
        await noted.done.wait()

    assert (noted.users, noted.errors) == ([ADA], [])


async def test_a_task_that_no_request_has_started_has_no_user(app: Quart, noted: Noted) -> None:
    app.add_background_task(noted.ask)
    async with asyncio.timeout(LONG_ENOUGH):
        await noted.done.wait()

    assert (noted.users, noted.errors) == ([None], [])


async def test_an_app_context_within_a_view_is_no_background_task(app: Quart, sign_in: SignIn, noted: Noted) -> None:
    @app.get("/")
    async def home() -> str:
        async with app.app_context():
            await noted.ask()
        return ""

    await (await sign_in(app)).get("/")

    assert noted.errors == []


# --- tests that look back -------------------------------------------------------------------------------------


async def test_a_test_may_ask_who_sent_the_request_that_it_has_made(with_home: Quart, sign_in: SignIn) -> None:
    async with await sign_in(with_home) as client:
        await client.get("/")

        assert await current_user is ADA
        assert current_user.name == "Ada"


async def test_a_test_may_ask_who_was_signed_in_by_the_request_that_it_has_made(app: Quart) -> None:
    @app.post("/login")
    async def login() -> str:
        await login_user(GRACE)
        return ""

    async with app.test_client() as client:
        await client.post("/login")

        assert await current_user is GRACE
