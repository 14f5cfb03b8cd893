"""Signals: when they are sent, and to which kinds of receivers."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from blinker import NamedSignal
from quart import Quart, render_template_string
from users import ADA, DISMISSED, GRACE, SignIn, User, Visit

from quartlogin import (
    LoginManager,
    current_user,
    login_required,
    login_user,
    logout_user,
    user_accessed,
    user_logged_in,
    user_logged_out,
    user_unauthorized,
)


async def enter() -> None:
    await login_user(ADA)


async def leave() -> None:
    await logout_user()


async def look() -> None:
    await current_user


@pytest.mark.parametrize(
    ("signal", "act", "values"),
    [
        (user_logged_in, enter, {"user": ADA}),
        (user_logged_out, leave, {"user": GRACE}),
        (user_accessed, look, {}),
    ],
    ids=["logged-in", "logged-out", "accessed"],
)
async def test_the_signal_is_sent_once_by_the_app(
    app: Quart, visit: Visit, signal: NamedSignal, act: Callable[[], Awaitable[None]], values: dict[str, Any]
) -> None:
    received: list[tuple[Any, dict[str, Any]]] = []

    async def receive(sender: Any, **values: Any) -> None:
        received.append((sender, values))

    async with visit("2"):
        with signal.connected_to(receive, app):
            await act()

    assert received == [(app, values)]
    assert type(received[0][0]) is Quart


async def test_a_rejected_visitor_is_signalled(app: Quart) -> None:
    received: list[Any] = []
    app.add_url_rule("/", view_func=login_required(look))

    async def receive(sender: Any) -> None:
        received.append((sender, current_user.is_anonymous))

    with user_unauthorized.connected_to(receive, app):
        await app.test_client().get("/")

    assert received == [(app, True)]


async def test_an_accepted_user_is_not_signalled_as_rejected(app: Quart, sign_in: SignIn) -> None:
    received: list[Any] = []

    @app.get("/")
    @login_required
    async def home() -> str:
        return ""

    with user_unauthorized.connected_to(received.append, app):
        await (await sign_in(app)).get("/")

    assert received == []


async def test_the_users_of_other_apps_are_not_announced(visit: Visit, bare_app: Quart) -> None:
    received: list[Any] = []

    async def receive(sender: Any, **values: Any) -> None:
        received.append(sender)

    async with visit():
        with user_logged_in.connected_to(receive, Quart("another")):
            await login_user(ADA)

    assert received == []


async def test_a_login_that_is_refused_is_not_announced(app: Quart, visit: Visit) -> None:
    received: list[Any] = []

    async def receive(sender: Any, user: Any) -> None:
        received.append(user)

    async with visit():
        with user_logged_in.connected_to(receive, app):
            await login_user(DISMISSED)

    assert received == []


async def test_the_real_user_is_announced_never_the_proxy(app: Quart, visit: Visit) -> None:
    received: list[type] = []

    async def receive(sender: Any, user: Any) -> None:
        received.append(type(user))

    async with visit("1"):
        await current_user
        with user_logged_in.connected_to(receive, app), user_logged_out.connected_to(receive, app):
            await login_user(current_user)
            await logout_user()

    assert received == [User, User]


async def test_receivers_of_a_login_see_the_new_user(app: Quart, visit: Visit) -> None:
    seen: list[str] = []

    async def receive(sender: Any, user: Any) -> None:
        seen.append(current_user.name)

    async with visit("2"):
        with user_logged_in.connected_to(receive, app):
            await login_user(ADA)

    assert seen == ["Ada"]


async def test_receivers_of_a_logout_see_the_anonymous_user(app: Quart, visit: Visit) -> None:
    seen: list[tuple[str, bool]] = []

    async def receive(sender: Any, user: Any) -> None:
        seen.append((user.name, current_user.is_anonymous))

    async with visit("2"):
        with user_logged_out.connected_to(receive, app):
            await logout_user()

    assert seen == [("Grace", True)]


@pytest.mark.parametrize("visitor", ["1", None], ids=["signed in", "anonymous"])
async def test_receivers_of_a_load_may_use_current_user(app: Quart, visit: Visit, visitor: str | None) -> None:
    seen: list[Any] = []

    async def receive(sender: Any) -> None:
        seen.extend([current_user.get_id(), (await current_user).get_id()])

    async with visit(visitor):
        with user_accessed.connected_to(receive, app):
            await current_user

    assert seen == [visitor, visitor]


async def test_a_load_is_announced_once_however_many_ask(app: Quart, visit: Visit) -> None:
    received: list[Any] = []

    async def receive(sender: Any) -> None:
        received.append(sender)

    async with visit("1"):
        with user_accessed.connected_to(receive, app):
            await asyncio.gather(*(asyncio.create_task(look()) for _ in range(5)))
            await render_template_string("{{ current_user.name }}")

    assert received == [app]


async def test_a_failed_load_is_not_announced(app: Quart, visit: Visit, login_manager: LoginManager[User]) -> None:
    received: list[Any] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        raise ZeroDivisionError

    async with visit("1"):
        with user_accessed.connected_to(received.append, app), pytest.raises(ZeroDivisionError):
            await current_user

    assert received == []


# --- receivers of every kind ----------------------------------------------------------------------------------


class Log:
    """Receivers of every kind that write down who signed in."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def coroutine(self, sender: Any, user: Any) -> None:
        await asyncio.sleep(0)
        self.names.append(user.name)

    def plain(self, sender: Any, user: Any) -> None:
        self.names.append(user.name)

    async def __call__(self, sender: Any, user: Any) -> None:
        await self.coroutine(sender, user)

    def receiver(self, kind: str) -> Callable[..., Any]:
        receivers: dict[str, Callable[..., Any]] = {
            "async def": self.coroutine,
            "def": self.plain,
            "lambda": lambda sender, user: self.names.append(user.name),
            "lambda that gives a coroutine": lambda sender, **values: self.coroutine(sender, **values),  # noqa: PLW0108
            "partial of async def": partial(self.coroutine),
            "partial of def": partial(self.plain),
            "object": self,
        }
        return receivers[kind]


KINDS = pytest.mark.parametrize(
    "kind",
    [
        "async def",
        "def",
        "lambda",
        "lambda that gives a coroutine",
        "partial of async def",
        "partial of def",
        "object",
    ],
)


@KINDS
async def test_a_receiver_of_any_kind_has_finished_when_login_user_returns(app: Quart, visit: Visit, kind: str) -> None:
    log = Log()

    async with visit():
        with user_logged_in.connected_to(log.receiver(kind), app):
            await login_user(ADA)
            names = list(log.names)

    assert names == ["Ada"]


async def test_all_receivers_are_called(app: Quart, visit: Visit) -> None:
    log = Log()
    first, second = log.receiver("def"), log.receiver("async def")

    async with visit():
        with user_logged_in.connected_to(first, app), user_logged_in.connected_to(second, app):
            await login_user(ADA)

    assert log.names == ["Ada", "Ada"]


async def test_a_def_receiver_runs_neither_on_the_loop_nor_in_its_default_executor(app: Quart, visit: Visit) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="default-executor"))
    threads: list[threading.Thread] = []

    def receive(sender: Any, user: Any) -> None:
        threads.append(threading.current_thread())

    async with visit():
        with user_logged_in.connected_to(receive, app):
            await login_user(ADA)

    assert threads[0] is not threading.current_thread()
    assert not threads[0].name.startswith("default-executor")


async def test_deadlock_def_receivers_and_def_views_do_not_block_each_other(app: Quart, sign_in: SignIn) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=2))
    names: list[str] = []

    def receive(sender: Any) -> None:
        names.append(current_user.name)

    @app.get("/")
    def home() -> str:
        return current_user.name

    client = await sign_in(app)
    with user_accessed.connected_to(receive, app):
        async with asyncio.timeout(60):
            await asyncio.gather(*(client.get("/") for _ in range(6)))

    assert names == ["Ada"] * 6


async def test_a_def_receiver_may_use_current_user(app: Quart, visit: Visit) -> None:
    seen: list[str] = []

    def receive(sender: Any) -> None:
        seen.append(current_user.name)

    async with visit("1"):
        with user_accessed.connected_to(receive, app):
            await current_user

    assert seen == ["Ada"]


@KINDS
async def test_an_error_of_a_receiver_reaches_the_caller(app: Quart, visit: Visit, kind: str) -> None:
    log = Log()
    del log.names

    async with visit():
        with user_logged_in.connected_to(log.receiver(kind), app), pytest.raises(AttributeError):
            await login_user(ADA)


async def test_an_error_of_a_load_receiver_leaves_the_user_known(app: Quart, visit: Visit) -> None:
    async def receive(sender: Any) -> None:
        raise ZeroDivisionError

    async with visit("1"):
        with user_accessed.connected_to(receive, app), pytest.raises(ZeroDivisionError):
            await current_user

        assert await current_user is ADA
