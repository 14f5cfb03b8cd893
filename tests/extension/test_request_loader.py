"""`request_loader`: users found by the request itself, after the session and the remember cookie."""

import json
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from browsers import home, set_by
from quart import Quart, Response, request, session, websocket
from users import ADA, DISMISSED, GRACE, Receive, SignIn, User, Visit

from quartlogin import (
    AnonymousUserMixin,
    ConfigurationError,
    LoginManager,
    LoginRefused,
    NoRecords,
    UserMixin,
    confirm_login,
    create_bearer_token,
    current_user,
    fresh_login_required,
    login_fresh,
    login_required,
    login_user,
    user_accessed,
    user_loaded_from_cookie,
    user_loaded_from_request,
)

KEY_OF_GRACE = {"X-Api-Key": "of Grace"}


def by_key(connection: Any) -> User | None:
    return {"of Grace": GRACE, "of Dismissed": DISMISSED}.get(connection.headers.get("X-Api-Key", ""))


async def by_key_async(connection: Any) -> User | None:
    return by_key(connection)


class ByKey:
    """A loader that is an object."""

    async def __call__(self, connection: Any) -> User | None:
        return by_key(connection)


@pytest.fixture
def asked(login_manager: LoginManager[User]) -> list[Any]:
    """The requests and websockets that the request_loader was called with."""
    asked: list[Any] = []

    @login_manager.request_loader
    async def load(connection: Any) -> User | None:
        asked.append(connection)
        return by_key(connection)

    return asked


@pytest.fixture
def site(app: Quart, asked: list[Any]) -> Quart:
    """An app with a login view for Ada, a page, a guarded one, and one for fresh logins."""

    @app.post("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    app.add_url_rule("/", view_func=home)

    @app.get("/account")
    @login_required
    async def account() -> str:
        return current_user.name

    @app.get("/fresh")
    @fresh_login_required
    async def fresh() -> str:
        return current_user.name

    return app


async def remember_cookie_of_ada(app: Quart) -> str:
    response = await app.test_client().post("/login")
    return set_by(response)["remember_token"].value


async def ask(app: Quart, **headers: str) -> tuple[Response, dict[str, Any]]:
    """Come with these headers, and with no cookies but theirs."""
    response = await app.test_client(use_cookies=False).get("/", headers=headers)
    return response, await response.get_json()


# --- the order ------------------------------------------------------------------------------------------------


async def test_a_user_who_is_in_no_cookie_is_found_by_the_request(site: Quart) -> None:
    response, page = await ask(site, **KEY_OF_GRACE)

    assert page["name"] == "Grace"
    assert set_by(response) == {}


async def test_the_session_goes_first(site: Quart, sign_in: SignIn, asked: list[Any]) -> None:
    browser = await sign_in(site, "1")

    page = await (await browser.get("/", headers=KEY_OF_GRACE)).get_json()

    assert page["name"] == "Ada"
    assert asked == []


async def test_the_remember_cookie_goes_second(site: Quart, asked: list[Any]) -> None:
    cookie = await remember_cookie_of_ada(site)

    _, page = await ask(site, Cookie=f"remember_token={cookie}", **KEY_OF_GRACE)

    assert page["name"] == "Ada"
    assert asked == []


@pytest.mark.parametrize("cookie", ["remember_token=broken", "remember_token=", "session=broken", "other=1"])
async def test_after_a_remember_cookie_of_an_unknown_user_the_request_loader_is_called(
    site: Quart, cookie: str
) -> None:
    """A broken one of any kind counts as absent; in Flask-Login it kept the loader from being asked."""
    response, page = await ask(site, Cookie=cookie, **KEY_OF_GRACE)

    assert (response.status_code, page["name"]) == (200, "Grace")


@pytest.mark.parametrize("user_id", ["404", 1, None], ids=repr)
async def test_after_a_session_of_an_unknown_user_the_request_loader_is_called(
    site: Quart, sign_in: SignIn, user_id: object
) -> None:
    browser = await sign_in(site, user_id)

    page = await (await browser.get("/", headers=KEY_OF_GRACE)).get_json()

    assert page["name"] == "Grace"


async def test_after_a_rejected_remember_cookie_the_request_loader_is_called(
    site: Quart, login_manager: LoginManager[User]
) -> None:
    class Refusing(NoRecords):
        async def login_restored(self, login: Any, new_secret: str | None) -> bool:
            raise LoginRefused("ended")

    cookie = await remember_cookie_of_ada(site)
    login_manager.records = Refusing()

    response, page = await ask(site, Cookie=f"remember_token={cookie}", **KEY_OF_GRACE)

    assert (page["name"], page["login_id"]) == ("Grace", None)
    assert set_by(response)["remember_token"].value == ""


async def test_a_bearer_token_goes_before_all_of_them(site: Quart, asked: list[Any]) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    _, page = await ask(site, Authorization=f"Bearer {token}", **KEY_OF_GRACE)

    assert page["name"] == "Ada"
    assert asked == []


async def test_another_kind_of_authorization_is_for_the_loader(site: Quart, login_manager: LoginManager[User]) -> None:
    @login_manager.request_loader
    async def load(connection: Any) -> User | None:
        return {"ada": ADA}.get(connection.authorization.username)

    response = await site.test_client().get("/", auth=("ada", "secret"))

    assert (await response.get_json())["name"] == "Ada"


async def test_a_request_of_an_unknown_user_is_anonymous(site: Quart, asked: list[Any]) -> None:
    response, page = await ask(site)

    assert (page["name"], page["login_id"], page["fresh"]) == (None, None, False)
    assert set_by(response) == {}
    assert len(asked) == 1


async def test_a_request_that_does_not_ask_calls_no_loader(site: Quart, asked: list[Any]) -> None:
    @site.get("/plain")
    async def plain() -> str:
        return ""

    await site.test_client().get("/plain", headers=KEY_OF_GRACE)

    assert asked == []


async def test_a_request_that_asks_often_calls_the_loader_once(site: Quart, visit: Visit, asked: list[Any]) -> None:
    async with visit():
        for _ in range(5):
            await current_user

    assert len(asked) == 1


# --- the loader -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loader",
    [by_key, by_key_async, ByKey(), partial(by_key), partial(by_key_async)],
    ids=["def", "async def", "object", "partial", "partial of async def"],
)
async def test_a_loader_of_any_callable_kind_is_awaited(
    site: Quart, login_manager: LoginManager[User], loader: Callable[..., Any]
) -> None:
    login_manager.request_loader(loader)

    _, page = await ask(site, **KEY_OF_GRACE)

    assert page["name"] == "Grace"


@pytest.mark.parametrize("loader", [by_key, by_key_async], ids=["def", "async def"])
def test_registering_a_loader_gives_it_back(login_manager: LoginManager[User], loader: Callable[..., Any]) -> None:
    assert login_manager.request_loader(loader) is loader
    assert login_manager.request_callback is loader


def test_without_a_loader_there_is_no_callback() -> None:
    assert LoginManager[User]().request_callback is None


async def test_the_loader_gets_the_request_itself(site: Quart, asked: list[Any]) -> None:
    async with site.test_request_context("/", headers=KEY_OF_GRACE):
        await current_user
        real: Any = request

        assert asked == [real._get_current_object()]


async def test_a_def_loader_runs_in_a_thread(site: Quart, login_manager: LoginManager[User]) -> None:
    threads: list[Any] = []

    @login_manager.request_loader
    def load(connection: Any) -> User | None:
        threads.append(threading.current_thread())
        return by_key(connection)

    _, page = await ask(site, **KEY_OF_GRACE)

    assert page["name"] == "Grace"
    assert threads[0] is not threading.current_thread()


async def test_a_websockets_user_is_found_by_its_headers(site: Quart) -> None:
    @site.websocket("/live")
    async def live() -> None:
        await websocket.send((await current_user).name)

    async with site.test_client().websocket("/live", headers=KEY_OF_GRACE) as connection:
        answer = await connection.receive()

    assert answer == "Grace"


async def test_the_loader_gets_the_websocket_itself(site: Quart, asked: list[Any], receive: Receive) -> None:
    @site.websocket("/live")
    async def live() -> None:
        real: Any = websocket
        await current_user
        await websocket.send(str(asked[0] is real._get_current_object()))

    assert await receive(site, "other=1") == "True"


async def test_a_user_who_is_false_in_python_is_a_user(visit: Visit, login_manager: LoginManager[User]) -> None:
    class Empty(UserMixin):
        id = "empty"

        def __len__(self) -> int:
            return 0

    empty = Empty()

    @login_manager.request_loader
    async def load(_connection: Any) -> Any:
        return empty

    async with visit():
        assert await current_user is empty


async def test_a_user_of_the_user_loader_who_is_false_in_python_goes_first(
    visit: Visit, login_manager: LoginManager[User], asked: list[Any]
) -> None:
    class Empty(UserMixin):
        id = "empty"

        def __bool__(self) -> bool:
            return False

    empty = Empty()

    @login_manager.user_loader
    async def load(_user_id: str) -> Any:
        return empty

    async with visit("empty"):
        assert await current_user is empty

    assert asked == []


async def test_an_error_of_the_loader_is_an_error_of_that_request(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    calls: list[Any] = []

    @login_manager.request_loader
    async def load(connection: Any) -> User:
        calls.append(connection)
        raise OSError("the database is down")

    async with visit():
        with pytest.raises(OSError, match="the database is down"):
            await current_user
        with pytest.raises(OSError, match="the database is down"):
            await current_user

    assert len(calls) == 1


@pytest.mark.parametrize(("key", "status"), [("of Grace", 200), ("of Dismissed", 401), ("of nobody", 401)])
async def test_a_guard_lets_only_active_users_through(site: Quart, key: str, status: int) -> None:
    response = await site.test_client().get("/account", headers={"X-Api-Key": key})

    assert response.status_code == status


# --- what such a user is not ----------------------------------------------------------------------------------


async def test_nothing_of_such_a_user_is_kept(site: Quart) -> None:
    browser = site.test_client()

    await browser.get("/", headers=KEY_OF_GRACE)
    page = await (await browser.get("/")).get_json()

    assert (page["name"], page["session"]) == (None, {})


async def test_such_a_user_has_no_login_and_is_not_fresh(site: Quart) -> None:
    _, page = await ask(site, **KEY_OF_GRACE)

    assert (page["login_id"], page["fresh"]) == (None, False)


async def test_such_a_user_does_not_inherit_the_login_of_a_session_that_counts_no_more(
    site: Quart, sign_in: SignIn
) -> None:
    """The password that makes a login fresh was typed by somebody else."""
    site.config["SESSION_PROTECTION"] = None
    browser = await sign_in(site, "404", _login_id="of somebody else", _fresh=True)

    page = await (await browser.get("/", headers=KEY_OF_GRACE)).get_json()
    fresh = await browser.get("/fresh", headers=KEY_OF_GRACE)

    assert (page["name"], page["login_id"], page["fresh"]) == ("Grace", None, False)
    assert fresh.status_code == 401


# --- signals --------------------------------------------------------------------------------------------------

Meet = Callable[..., Awaitable[None]]


@pytest.fixture
def heard(app: Quart) -> list[tuple[str, Any]]:
    """Which of the signals of a load were sent, with the user."""
    heard: list[tuple[str, Any]] = []

    def receive(what: str, _sender: Any, user: Any = None) -> None:
        heard.append((what, user))

    for what, signal in (
        ("accessed", user_accessed),
        ("cookie", user_loaded_from_cookie),
        ("request", user_loaded_from_request),
    ):
        signal.connect(partial(receive, what), app, weak=False)
    return heard


async def test_such_a_user_is_announced_once(site: Quart, heard: list[tuple[str, Any]]) -> None:
    await ask(site, **KEY_OF_GRACE)

    assert heard == [("request", GRACE), ("accessed", None)]


async def test_a_request_of_an_unknown_user_sends_no_signal(site: Quart, heard: list[tuple[str, Any]]) -> None:
    await ask(site)

    assert heard == [("accessed", None)]


async def test_a_user_of_the_session_is_not_announced_as_loaded_from_the_request(
    site: Quart, sign_in: SignIn, heard: list[tuple[str, Any]]
) -> None:
    await (await sign_in(site)).get("/", headers=KEY_OF_GRACE)

    assert heard == [("accessed", None)]


async def test_a_remembered_user_is_announced_as_loaded_from_the_cookie(
    site: Quart, heard: list[tuple[str, Any]]
) -> None:
    cookie = await remember_cookie_of_ada(site)
    heard.clear()

    await ask(site, Cookie=f"remember_token={cookie}", **KEY_OF_GRACE)

    assert heard == [("cookie", ADA), ("accessed", None)]


async def test_a_receiver_may_be_a_coroutine(site: Quart) -> None:
    heard: list[Any] = []

    async def receive(sender: Any, user: Any) -> None:
        heard.append((sender, user))

    with user_loaded_from_request.connected_to(receive, site):
        await ask(site, **KEY_OF_GRACE)

    assert heard == [(site, GRACE)]


# --- missing loaders ------------------------------------------------------------------------------------------


@pytest.fixture
def lonely_app(bare_app: Quart) -> Quart:
    """An app whose manager has no loader yet."""
    LoginManager[User](bare_app)
    return bare_app


async def test_without_any_loader_the_error_says_what_to_write(lonely_app: Quart) -> None:
    async with lonely_app.test_request_context("/"):
        with pytest.raises(ConfigurationError, match=r"@login_manager\.user_loader\b"):
            await current_user


async def test_a_request_loader_alone_is_enough(lonely_app: Quart) -> None:
    lonely_app.login_manager.request_loader(by_key)  # type: ignore[attr-defined]

    async with lonely_app.test_request_context("/", headers=KEY_OF_GRACE):
        assert await current_user is GRACE


async def test_with_a_request_loader_alone_cookies_are_anonymous(lonely_app: Quart) -> None:
    lonely_app.login_manager.request_loader(by_key)  # type: ignore[attr-defined]

    async with lonely_app.test_request_context("/"):
        session["_user_id"] = "1"

        assert type(await current_user) is AnonymousUserMixin


async def test_with_a_request_loader_alone_a_bearer_token_is_anonymous(lonely_app: Quart) -> None:
    lonely_app.login_manager.request_loader(by_key)  # type: ignore[attr-defined]
    async with lonely_app.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    async with lonely_app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
        assert (await current_user).is_anonymous


async def test_a_loader_registered_after_init_app_counts(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.request_loader(by_key)

    @app.get("/")
    async def home() -> str:
        return json.dumps((await current_user).name)

    response = await app.test_client().get("/", headers=KEY_OF_GRACE)

    assert await response.get_data(as_text=True) == '"Grace"'


async def test_confirming_makes_no_session_fresh_whose_login_has_ended(app: Quart, visit: Visit) -> None:
    manager: LoginManager[User] = app.extensions["quartlogin"]
    manager.user_loader(lambda _: None)  # the session's login has ended
    manager.request_loader(lambda _: ADA)  # and its user sends a key of another kind

    async with visit(ADA.id):
        session.update(_login_id="has ended", _fresh=False)
        assert await current_user is ADA
        await confirm_login()

        assert (session["_login_id"], session["_fresh"]) == ("has ended", False)
        assert not login_fresh()
