"""How a request finds its user: at most once, whoever asks; races of a login and a load."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from quart import (
    Quart,
    abort,
    copy_current_request_context,
    render_template_string,
    request,
    session,
    websocket,
)
from users import ADA, BY_ID, GRACE, Receive, SignIn, User, Visit

from quartlogin import (
    AnonymousUserMixin,
    ConfigurationError,
    LoginManager,
    UserMixin,
    UserNotLoadedError,
    current_user,
    login_required,
    login_user,
    logout_user,
)

LONG_ENOUGH = 60  # seconds until a test gives up on what hangs


class DatabaseDownError(Exception):
    """What the loader of these tests raises."""


async def ask() -> Any:
    return await current_user


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


class Gate:
    """A user_loader that waits until the test opens it."""

    def __init__(self, manager: LoginManager[User]) -> None:
        self.calls: list[str] = []
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        manager.user_loader(self.load)

    async def load(self, user_id: str) -> User | None:
        self.calls.append(user_id)
        self.entered.set()
        await self.opened.wait()
        return BY_ID.get(user_id)


@pytest.fixture
async def gate(app: Quart, login_manager: LoginManager[User]) -> Gate:
    return Gate(login_manager)


# --- once -----------------------------------------------------------------------------------------------------


async def test_a_request_that_asks_ten_times_loads_once(visit: Visit, loads: list[str]) -> None:
    async with visit("1"):
        users = [await current_user for _ in range(10)]

    assert loads == ["1"]
    assert users == [ADA] * 10


async def test_a_request_that_does_not_read_the_user_loads_none(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    async def home() -> str:
        return "welcome"

    await (await sign_in(app)).get("/")

    assert loads == []


async def test_a_session_without_a_user_loads_none(visit: Visit, loads: list[str]) -> None:
    async with visit():
        user = await current_user

    assert loads == []
    assert type(user) is AnonymousUserMixin


async def test_each_request_loads_anew(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    client = await sign_in(app)
    await client.get("/")
    await client.get("/")

    assert loads == ["1", "1"]


async def test_the_loader_is_called_with_text_and_only_with_that(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    calls: list[tuple[Any, ...]] = []

    @login_manager.user_loader
    async def load(*args: Any) -> None:
        calls.append(args)

    async with visit("１ \té"):
        await current_user

    assert calls == [("１ \té",)]


async def test_ten_tasks_of_one_request_load_once(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        tasks = [asyncio.create_task(ask()) for _ in range(10)]
        await settle()
        gate.opened.set()
        users = await asyncio.gather(*tasks)

    assert gate.calls == ["1"]
    assert all(user is ADA for user in users)


async def test_an_early_plain_read_raises_while_another_task_loads(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        task = asyncio.create_task(ask())
        await gate.entered.wait()
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018
        gate.opened.set()
        await task

        assert current_user.name == "Ada"


async def test_a_user_who_is_not_found_is_anonymous(visit: Visit, loads: list[str]) -> None:
    async with visit("404"):
        user = await current_user
        again = await current_user

    assert type(user) is AnonymousUserMixin
    assert again is user
    assert loads == ["404"]


async def test_a_user_who_is_false_in_python_is_a_user(visit: Visit, login_manager: LoginManager[User]) -> None:
    class Basket(UserMixin):
        id = "1"

        def __len__(self) -> int:
            return 0

    login_manager.user_loader(lambda _: Basket())

    async with visit("1"):
        assert type(await current_user) is Basket


async def test_the_anonymous_user_is_of_the_apps_own_making(visit: Visit, login_manager: LoginManager[User]) -> None:
    class Guest(AnonymousUserMixin):
        name = "guest"

    login_manager.anonymous_user = Guest

    async with visit():
        await current_user

        assert current_user.name == "guest"


async def test_what_the_loader_sets_in_a_context_variable_reaches_the_view(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody's")

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        tenant.set("Ada's")
        return ADA

    async with visit("1"):
        await current_user

        assert tenant.get() == "Ada's"


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_the_loader_sees_the_request(visit: Visit, login_manager: LoginManager[User], kind: str) -> None:
    seen: list[str] = []

    async def load_async(user_id: str) -> None:
        seen.append(request.path)

    def load(user_id: str) -> None:
        seen.append(request.path)

    login_manager.user_loader({"async def": load_async, "def": load}[kind])

    async with visit("1"):
        await current_user

    assert seen == ["/"]


@pytest.mark.parametrize("kind", ["partial", "object", "method", "lambda that gives a coroutine"])
async def test_a_loader_of_any_callable_kind_is_awaited(
    visit: Visit, login_manager: LoginManager[User], kind: str
) -> None:
    async def load_from(table: dict[str, User], user_id: str) -> User | None:
        return table.get(user_id)

    class Table:
        async def __call__(self, user_id: str) -> User | None:
            return BY_ID.get(user_id)

        async def load(self, user_id: str) -> User | None:
            return BY_ID.get(user_id)

    loaders = {
        "partial": partial(load_from, BY_ID),
        "object": Table(),
        "method": Table().load,
        "lambda that gives a coroutine": lambda user_id: load_from(BY_ID, user_id),
    }
    login_manager.user_loader(loaders[kind])

    async with visit("2"):
        assert await current_user is GRACE


# --- cancelled askers -----------------------------------------------------------------------------------------


async def test_when_the_first_asker_is_cancelled_the_next_gets_the_user(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        first = asyncio.create_task(ask())
        await gate.entered.wait()
        others = [asyncio.create_task(ask()) for _ in range(3)]
        await settle()

        first.cancel()
        await settle()
        gate.opened.set()
        users = await asyncio.gather(*others)

    assert first.cancelled()
    assert users == [ADA] * 3
    assert gate.calls == ["1", "1"]


async def test_when_a_waiting_asker_is_cancelled_the_load_goes_on(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        first = asyncio.create_task(ask())
        await gate.entered.wait()
        second = asyncio.create_task(ask())
        await settle()

        second.cancel()
        await settle()
        gate.opened.set()

        assert await first is ADA
    assert second.cancelled()
    assert gate.calls == ["1"]


async def test_when_all_askers_are_cancelled_a_later_one_gets_the_user(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        askers = [asyncio.create_task(ask()) for _ in range(3)]
        await gate.entered.wait()
        await settle()
        askers[2].cancel()
        askers[1].cancel()
        askers[0].cancel()
        await settle()
        gate.opened.set()

        assert await current_user is ADA
    assert [asker.cancelled() for asker in askers] == [True] * 3


async def test_an_asker_who_is_out_of_time_leaves_the_others_theirs(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), timeout=0)
        gate.opened.set()

        assert await current_user is ADA


# --- a loader that raises -------------------------------------------------------------------------------------


@pytest.fixture
def failures(app: Quart, login_manager: LoginManager[User]) -> list[str]:
    """The ids that a loader was called with which can only raise."""
    failures: list[str] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        failures.append(user_id)
        raise DatabaseDownError

    return failures


async def test_the_same_error_is_raised_again_without_a_second_call(visit: Visit, failures: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(DatabaseDownError) as first:
            await current_user
        with pytest.raises(DatabaseDownError) as second:
            await current_user

    assert second.value is first.value
    assert failures == ["1"]


async def test_every_waiting_task_gets_the_loaders_error(visit: Visit, failures: list[str]) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        tasks = [asyncio.create_task(ask()) for _ in range(5)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {DatabaseDownError}
    assert failures == ["1"]


async def test_a_plain_read_after_a_failed_load_raises(visit: Visit, failures: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(DatabaseDownError):
            await current_user
        with pytest.raises((UserNotLoadedError, DatabaseDownError)):
            bool(current_user)


async def test_a_template_after_a_failed_load_sees_the_anonymous_user(visit: Visit, failures: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(DatabaseDownError):
            await current_user
        page = await render_template_string("{{ current_user.is_anonymous }}")

    assert page == "True"
    assert failures == ["1"]


async def test_the_template_that_asks_first_raises_the_loaders_error(visit: Visit, failures: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(DatabaseDownError):
            await render_template_string("{{ current_user.name }}")


async def test_the_error_page_of_a_failed_load_can_name_the_visitor(
    app: Quart, sign_in: SignIn, failures: list[str]
) -> None:
    @app.get("/")
    @login_required
    async def home() -> str:
        raise AssertionError

    @app.errorhandler(DatabaseDownError)
    async def sorry(error: DatabaseDownError) -> tuple[str, int]:
        return await render_template_string("Sorry{{ ', ' + current_user.name if current_user.name }}."), 503

    response = await (await sign_in(app)).get("/")

    assert (response.status_code, await response.get_data(as_text=True)) == (503, "Sorry.")


async def test_a_failed_load_signs_no_user_out(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], failures: list[str]
) -> None:
    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    client = await sign_in(app)
    failed = await client.get("/")
    login_manager.user_loader(BY_ID.get)
    next_one = await client.get("/")

    assert failed.status_code == 500
    assert "Set-Cookie" not in failed.headers
    assert await next_one.get_data(as_text=True) == "Ada"


async def test_a_guard_passes_the_loaders_error_on(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], failures: list[str]
) -> None:
    login_manager.login_view = "/login"

    @app.get("/")
    @login_required
    async def home() -> str:
        raise AssertionError

    response = await (await sign_in(app)).get("/")

    assert response.status_code == 500
    assert "Location" not in response.headers


async def test_a_login_after_a_failed_load_is_the_user(visit: Visit, failures: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(DatabaseDownError):
            await current_user
        await login_user(GRACE)

        assert await current_user is GRACE
        assert await render_template_string("{{ current_user.name }}") == "Grace"


async def test_a_failed_load_of_a_def_loader_reaches_a_def_view(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    def load(user_id: str) -> User:
        raise DatabaseDownError

    login_manager.user_loader(load)

    @app.get("/")
    def home() -> str:
        with pytest.raises(DatabaseDownError):
            current_user.name  # noqa: B018
        return "it raised"

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "it raised"


async def test_without_a_loader_a_session_that_names_a_user_is_a_configuration_error(
    bare_app: Quart, sign_in: SignIn
) -> None:
    LoginManager(bare_app)

    @bare_app.get("/")
    async def home() -> str:
        with pytest.raises(ConfigurationError, match="user_loader"):
            await current_user
        return "it raised"

    response = await (await sign_in(bare_app)).get("/")

    assert await response.get_data(as_text=True) == "it raised"


# --- a loader that asks ---------------------------------------------------------------------------------------


async def test_an_async_loader_that_awaits_current_user_raises(visit: Visit, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return await current_user

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError, match="user_loader"):
            await current_user


async def test_an_async_loader_that_reads_current_user_raises(visit: Visit, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return current_user.sibling

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError):
            await current_user


async def test_a_task_that_the_loader_starts_and_waits_for_raises(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return await asyncio.create_task(ask())

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError):
            await current_user


async def test_a_def_loader_that_reads_current_user_raises(visit: Visit, login_manager: LoginManager[User]) -> None:
    def load(user_id: str) -> User:
        return current_user.sibling

    login_manager.user_loader(load)

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError):
            await current_user


async def test_a_thread_of_an_async_loader_that_reads_current_user_raises(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return await asyncio.to_thread(lambda: current_user.sibling)

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError):
            await current_user


async def test_a_template_that_the_loader_renders_raises(visit: Visit, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> str:
        return await render_template_string("{{ current_user.name }}")

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        with pytest.raises(UserNotLoadedError):
            await current_user


# --- def views and threads ------------------------------------------------------------------------------------


@pytest.fixture
def loops(app: Quart, login_manager: LoginManager[User]) -> list[asyncio.AbstractEventLoop]:
    """The event loops that the user_loader ran on."""
    loops: list[asyncio.AbstractEventLoop] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        loops.append(asyncio.get_running_loop())
        return ADA

    return loops


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_a_def_view_reads_plain_attributes(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], kind: str
) -> None:
    async def load(user_id: str) -> User | None:
        return BY_ID.get(user_id)

    login_manager.user_loader({"async def": load, "def": BY_ID.get}[kind])

    @app.get("/")
    def home() -> str:
        return f"{current_user.name} {current_user.name} {isinstance(current_user, User)}"

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Ada Ada True"


async def test_a_def_view_loads_once(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    def home() -> str:
        return current_user.name + current_user.get_id()

    await (await sign_in(app)).get("/")

    assert loads == ["1"]


async def test_a_def_view_sees_the_anonymous_visitor(app: Quart) -> None:
    @app.get("/")
    def home() -> str:
        return str(current_user.is_anonymous)

    response = await app.test_client().get("/")

    assert await response.get_data(as_text=True) == "True"


async def test_a_loader_for_a_def_view_runs_on_the_servers_loop(
    app: Quart, sign_in: SignIn, loops: list[asyncio.AbstractEventLoop]
) -> None:
    @app.get("/")
    def home() -> str:
        return current_user.name

    await (await sign_in(app)).get("/")

    assert loops == [asyncio.get_running_loop()]


@pytest.mark.parametrize("guard", [login_required, lambda view: view], ids=["guarded", "open"])
async def test_deadlock_a_def_loader_and_def_views_do_not_block_each_other(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], guard: Any
) -> None:
    login_manager.user_loader(BY_ID.get)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=2))

    @app.get("/")
    @guard
    def home() -> str:
        return current_user.name

    client = await sign_in(app)
    async with asyncio.timeout(LONG_ENOUGH):
        responses = await asyncio.gather(*(client.get("/") for _ in range(6)))

    assert [await response.get_data(as_text=True) for response in responses] == ["Ada"] * 6


async def test_deadlock_def_handlers_and_a_def_loader_do_not_block_each_other(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    """The threads of callbacks are limited as well: 40 is more than there can be."""
    login_manager.user_loader(BY_ID.get)

    @login_manager.unauthorized_handler
    def refuse() -> str:
        return f"Not for you, {current_user.name}."

    @app.get("/")
    async def home() -> Any:
        return await login_manager.unauthorized()

    client = await sign_in(app)
    async with asyncio.timeout(LONG_ENOUGH):
        responses = await asyncio.gather(*(client.get("/") for _ in range(40)))

    assert [await response.get_data(as_text=True) for response in responses] == ["Not for you, Ada."] * 40


async def test_a_def_loader_runs_neither_on_the_loop_nor_in_its_default_executor(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    executor = ThreadPoolExecutor(thread_name_prefix="default-executor")
    asyncio.get_running_loop().set_default_executor(executor)
    threads: list[threading.Thread] = []
    login_manager.user_loader(lambda _: threads.append(threading.current_thread()))

    async with visit("1"):
        await current_user

    assert threads[0] is not threading.current_thread()
    assert not threads[0].name.startswith("default-executor")


async def test_a_def_before_request_function_registered_before_the_manager_may_ask(
    bare_app: Quart, sign_in: SignIn, login_manager: LoginManager[User], loads: list[str]
) -> None:
    names: list[str] = []

    @bare_app.before_request
    def note_name() -> None:
        names.append(current_user.name)

    login_manager.init_app(bare_app)

    @bare_app.get("/")
    async def home() -> str:
        return ""

    await (await sign_in(bare_app)).get("/")

    assert names == ["Ada"]


async def test_asyncio_run_in_a_def_view_asks_on_the_requests_loop(
    app: Quart, sign_in: SignIn, loops: list[asyncio.AbstractEventLoop]
) -> None:
    @app.get("/")
    def home() -> str:
        return asyncio.run(ask()).name

    async with asyncio.timeout(LONG_ENOUGH):
        response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"
    assert loops == [asyncio.get_running_loop()]


async def test_a_template_rendered_in_a_def_view_asks_on_the_requests_loop(
    app: Quart, sign_in: SignIn, loops: list[asyncio.AbstractEventLoop]
) -> None:
    @app.get("/")
    def home() -> str:
        return app.jinja_env.from_string("{{ current_user.name }}").render()

    async with asyncio.timeout(LONG_ENOUGH):
        response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"
    assert loops == [asyncio.get_running_loop()]


async def test_a_loop_of_its_own_in_a_def_view_gets_the_loaders_error(
    app: Quart, sign_in: SignIn, failures: list[str]
) -> None:
    @app.get("/")
    def home() -> str:
        with pytest.raises(DatabaseDownError):
            asyncio.run(ask())
        return "it raised"

    async with asyncio.timeout(LONG_ENOUGH):
        response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "it raised"


async def test_a_thread_started_by_a_coroutine_view_reads_plain_attributes(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    async def home() -> str:
        return await asyncio.to_thread(lambda: current_user.name)

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"


# --- whose state it is ----------------------------------------------------------------------------------------


async def test_requests_inside_one_app_context_do_not_share_users(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    ada, grace = await sign_in(app, "1"), await sign_in(app, "2")
    async with app.app_context():
        answers = [await client.get("/") for client in (ada, grace, ada)]

    assert [await answer.get_data(as_text=True) for answer in answers] == ["Ada", "Grace", "Ada"]


async def test_requests_at_the_same_time_inside_one_app_context_do_not_share_users(
    app: Quart, sign_in: SignIn, gate: Gate
) -> None:
    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    ada, grace = await sign_in(app, "1"), await sign_in(app, "2")
    async with app.app_context(), asyncio.timeout(LONG_ENOUGH):
        tasks = [asyncio.create_task(client.get("/")) for client in (ada, grace)]
        await gate.entered.wait()
        await settle()
        gate.opened.set()
        answers = await asyncio.gather(*tasks)

    assert [await answer.get_data(as_text=True) for answer in answers] == ["Ada", "Grace"]


async def test_a_copied_request_context_shares_the_load(visit: Visit, loads: list[str]) -> None:
    async with visit("1"):
        copies = [copy_current_request_context(ask) for _ in range(3)]
        users = await asyncio.gather(*(asyncio.create_task(copied()) for copied in copies))

        assert await current_user is ADA
    assert users == [ADA] * 3
    assert loads == ["1"]


async def test_a_request_inside_a_request_has_a_user_of_its_own(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    ada, grace = await sign_in(app, "1"), await sign_in(app, "2")

    @app.get("/inner")
    async def inner() -> str:
        return (await current_user).name

    @app.get("/outer")
    async def outer() -> str:
        before = (await current_user).name
        within = await (await grace.get("/inner")).get_data(as_text=True)
        return f"{before} {within} {current_user.name}"

    response = await ada.get("/outer")

    assert await response.get_data(as_text=True) == "Ada Grace Ada"


async def test_a_loader_may_send_a_request_whose_view_asks(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    @app.get("/directory")
    async def directory() -> str:
        return str((await current_user).is_anonymous)

    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        answer = await app.test_client().get("/directory")
        return User(user_id, await answer.get_data(as_text=True))

    async with asyncio.timeout(LONG_ENOUGH):
        response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "True"


# --- logins and logouts during a load -------------------------------------------------------------------------


async def test_race_a_login_during_a_running_load_wins(app: Quart, sign_in: SignIn, gate: Gate) -> None:
    @app.get("/")
    async def home() -> str:
        asker = asyncio.create_task(ask())
        await gate.entered.wait()
        await login_user(GRACE)
        gate.opened.set()
        return f"{(await asker).name} {(await current_user).name} {current_user.name} {session['_user_id']}"

    async with asyncio.timeout(LONG_ENOUGH):
        response = await (await sign_in(app, "1")).get("/")

    assert await response.get_data(as_text=True) == "Grace Grace Grace 2"


async def test_race_a_login_during_a_load_that_fails_wins(
    visit: Visit, login_manager: LoginManager[User], gate: Gate
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        await gate.load(user_id)
        raise DatabaseDownError

    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        asker = asyncio.create_task(ask())
        await gate.entered.wait()
        await login_user(GRACE)
        gate.opened.set()

        assert await asker is GRACE
        assert await current_user is GRACE


async def test_race_a_logout_waits_for_the_running_load_and_wins(visit: Visit, gate: Gate) -> None:
    async with visit("1"), asyncio.timeout(LONG_ENOUGH):
        asker = asyncio.create_task(ask())
        await gate.entered.wait()
        leaver = asyncio.create_task(logout_user())
        await settle()
        gate.opened.set()
        await asyncio.gather(asker, leaver)

        assert (await current_user).is_anonymous
        assert "_user_id" not in session


# --- what a session may say -----------------------------------------------------------------------------------


@pytest.mark.parametrize("user_id", [1, 0, True, False, 1.5, ["1"], [], {"id": "1"}, {}, None, ("1",), b"1"], ids=repr)
async def test_a_user_id_that_is_not_text_is_anonymous(
    app: Quart, sign_in: SignIn, loads: list[str], user_id: object
) -> None:
    @app.get("/")
    async def home() -> str:
        return str((await current_user).is_anonymous)

    response = await (await sign_in(app, user_id)).get("/")

    assert await response.get_data(as_text=True) == "True"
    assert loads == []


async def test_a_tampered_session_is_anonymous(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    async def home() -> str:
        return str((await current_user).is_anonymous)

    cookie = next(iter((await sign_in(app)).cookie_jar)).value
    response = await app.test_client().get("/", headers={"Cookie": f"session=x{cookie}"})

    assert await response.get_data(as_text=True) == "True"
    assert loads == []


async def test_an_app_without_a_secret_key_has_anonymous_visitors(app: Quart, loads: list[str]) -> None:
    app.secret_key = None

    @app.get("/")
    async def home() -> str:
        return str((await current_user).is_anonymous)

    response = await app.test_client().get("/")

    assert await response.get_data(as_text=True) == "True"


# --- websockets -----------------------------------------------------------------------------------------------


async def test_a_websocket_knows_its_user(app: Quart, sign_in: SignIn, receive: Receive, loads: list[str]) -> None:
    @app.websocket("/live")
    async def live() -> None:
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018
        user = await current_user
        await websocket.send(f"{user.name} {current_user.name}")

    cookie = next(iter((await sign_in(app)).cookie_jar)).value
    answer = await receive(app, f"session={cookie}")

    assert answer == "Ada Ada"
    assert loads == ["1"]


async def test_an_error_page_asks_no_second_time(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    @login_required
    async def home() -> str:
        abort(404)

    @app.errorhandler(404)
    async def not_found(error: Exception) -> str:
        return await render_template_string("Nothing here, {{ current_user.name }}.")

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Nothing here, Ada."
    assert loads == ["1"]
