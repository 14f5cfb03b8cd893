"""`loaded_user()`, which log filters may call anywhere, and `reload_user()`, which calls the loader again."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, render_template_string, session, stream_with_context
from users import ADA, BY_ID, GRACE, SignIn, User, Visit

from quartlogin import (
    AnonymousUserMixin,
    LoginManager,
    create_bearer_token,
    current_user,
    loaded_user,
    login_fresh,
    login_id,
    login_user,
    logout_user,
    reload_user,
)


class WithUser(logging.Filter):
    """A log filter as apps have it: each line says who sent the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        user = loaded_user()
        record.user = user.get_id() if user is not None else "-"
        return True


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []
        self.addFilter(WithUser())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), getattr(record, "user")))  # noqa: B009 -- the filter's


@pytest.fixture
def log() -> logging.Logger:
    log = logging.Logger("app")
    log.addHandler(Lines())
    return log


def lines(log: logging.Logger) -> list[tuple[str, str]]:
    (handler,) = log.handlers
    assert isinstance(handler, Lines)
    return handler.lines


# --- loaded_user ----------------------------------------------------------------------------------------------


def test_outside_a_request_no_user_is_loaded() -> None:
    assert loaded_user() is None


async def test_no_user_is_loaded_before_the_first_read(visit: Visit, loads: list[str]) -> None:
    async with visit("1"):
        assert loaded_user() is None
        await current_user

        assert loaded_user() is ADA
    assert loads == ["1"]


async def test_the_anonymous_user_who_is_loaded_is_that(visit: Visit) -> None:
    async with visit():
        await current_user

        assert type(loaded_user()) is AnonymousUserMixin


async def test_a_log_line_within_the_loader_fails_no_page(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], log: logging.Logger
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        log.warning("loading")
        return BY_ID.get(user_id)

    @app.get("/")
    async def home() -> str:
        log.warning("before")
        name = (await current_user).name
        log.warning("after")
        return str(name)

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"
    assert lines(log) == [("before", "-"), ("loading", "-"), ("after", "1")]


async def test_a_log_line_leaves_a_page_cacheable(app: Quart, sign_in: SignIn, log: logging.Logger) -> None:
    @app.get("/")
    async def home() -> str:
        log.warning("a page for everybody")
        return ""

    @app.after_request
    async def note(response: Any) -> Any:
        log.warning("answered")
        return response

    response = await (await sign_in(app)).get("/")

    assert "Cache-Control" not in response.headers
    assert [user for _, user in lines(log)] == ["-", "-"]


async def test_a_log_line_in_a_streamed_body_is_no_error(app: Quart, sign_in: SignIn, log: logging.Logger) -> None:
    @app.get("/")
    async def stream() -> Any:
        @stream_with_context
        async def parts() -> AsyncIterator[str]:
            log.warning("streaming")
            yield "a"

        return parts()

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "a"
    assert lines(log) == [("streaming", "-")]


async def test_after_a_failed_load_no_user_is_loaded(visit: Visit, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        raise ConnectionError

    async with visit("1"):
        with pytest.raises(ConnectionError):
            await current_user

        assert loaded_user() is None


async def test_within_as_user_that_user_is_loaded(app: Quart, login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(GRACE):
        assert loaded_user() is GRACE


# --- reload_user ----------------------------------------------------------------------------------------------


@pytest.fixture
def changing(login_manager: LoginManager[User], loads: list[str]) -> dict[str, User]:
    """Users of whom the loader makes new objects each time."""
    table = {"1": User("1", "Ada")}

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        loads.append(user_id)
        row = table.get(user_id)
        return None if row is None else User(row.id, row.name)

    return table


async def test_reloading_asks_the_loader_again(visit: Visit, changing: dict[str, User], loads: list[str]) -> None:
    async with visit("1"):
        before = await current_user
        changing["1"].name = "Ada Lovelace"
        stale = current_user.name
        user = await reload_user()

        assert (before.name, stale, user.name, current_user.name) == ("Ada", "Ada", "Ada Lovelace", "Ada Lovelace")
        assert await current_user is user
        assert await render_template_string("{{ current_user.name }}") == "Ada Lovelace"
    assert loads == ["1", "1"]


async def test_reloading_before_the_first_read_loads_once(
    visit: Visit, changing: dict[str, User], loads: list[str]
) -> None:
    async with visit("1"):
        assert (await reload_user()).name == "Ada"
    assert loads == ["1"]


async def test_a_user_who_is_gone_when_reloaded_is_anonymous(visit: Visit, changing: dict[str, User]) -> None:
    async with visit("1"):
        await current_user
        changing.clear()
        user = await reload_user()

        assert type(user) is AnonymousUserMixin
        assert await current_user is user
        assert (login_id(), login_fresh()) == (None, False)
        assert await render_template_string("{{ current_user.is_anonymous }}") == "True"


async def test_reloading_keeps_the_login(visit: Visit, changing: dict[str, User]) -> None:
    async with visit():
        await login_user(User("1", "Ada"))
        login = login_id()
        user = await reload_user()

        assert (user.name, login_id(), login_fresh(), session["_login_id"]) == ("Ada", login, True, login)


async def test_reloading_after_a_logout_restores_no_user(app: Quart, changing: dict[str, User]) -> None:
    """The request still carries the remember cookie of the login that has ended."""

    @app.post("/login")
    async def login() -> str:
        await login_user(User("1", "Ada"), remember=True)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return str((await reload_user()).is_anonymous)

    client = app.test_client()
    await client.post("/login")
    response = await client.post("/logout")

    assert await response.get_data(as_text=True) == "True"


async def test_reloading_an_anonymous_visitor_calls_no_loader(visit: Visit, loads: list[str]) -> None:
    async with visit():
        user = await current_user

        assert await reload_user() is user
    assert loads == []


async def test_reloading_within_as_user_keeps_that_user(app: Quart, login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(GRACE):
        assert await reload_user() is GRACE


async def test_outside_a_request_there_is_no_user_to_reload() -> None:
    assert await reload_user() is None


async def test_a_reload_that_fails_leaves_the_user_as_before(visit: Visit, login_manager: LoginManager[User]) -> None:
    async with visit("1"):
        await current_user

        @login_manager.user_loader
        async def load(user_id: str) -> User:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await reload_user()
        assert await current_user is ADA


async def test_a_reload_after_a_failed_load_tries_again(visit: Visit, login_manager: LoginManager[User]) -> None:
    down = [ConnectionError("down")]

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        if down:
            raise down.pop()
        return BY_ID.get(user_id)

    async with visit("1"):
        with pytest.raises(ConnectionError):
            await current_user

        assert await reload_user() is ADA
        assert await current_user is ADA


async def test_the_loader_asks_for_the_same_login_when_reloading(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    logins: list[str | None] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        logins.append(login_id())
        return BY_ID.get(user_id)

    async with visit():
        session.update(_user_id="1", _login_id="a login")
        await current_user
        await reload_user()

    assert logins == ["a login", "a login"]


async def test_the_user_of_a_bearer_token_is_reloaded(app: Quart, changing: dict[str, User]) -> None:
    async with app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    async with app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
        before, login = await current_user, login_id()
        changing["1"].name = "Ada Lovelace"

        assert (before.name, (await reload_user()).name, login_id()) == ("Ada", "Ada Lovelace", login)


async def test_whom_the_request_loader_has_found_it_finds_again(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    asked: list[str] = []

    @login_manager.request_loader
    async def load(connection: Any) -> User:
        asked.append(connection.path)
        return GRACE

    async with visit():
        await current_user

        assert await reload_user() is GRACE
    assert asked == ["/", "/"]
