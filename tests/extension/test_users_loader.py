"""`users_loader`: one lookup for the users of all waiting requests, and no request gets another's user."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, current_app, has_request_context, websocket
from users import SignIn, User, Visit

from quartlogin import (
    ConfigurationError,
    LoginManager,
    UserNotLoadedError,
    current_user,
    loaded_user,
    login_fresh,
    login_id,
    login_required,
    login_secret_hash,
)

CROWD = 20


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Table:
    """A table of users, each row read anew, as an object that its reader may change."""

    def __init__(self, manager: LoginManager[User]) -> None:
        self.names = {str(number): f"user {number}" for number in range(CROWD)}
        self.lookups: list[list[str]] = []
        #: What the lookups wait for.
        self.is_open = asyncio.Event()
        self.is_open.set()
        manager.users_loader(self.find)

    async def find(self, user_ids: list[str]) -> dict[str, User]:
        self.lookups.append(user_ids)
        await settle()  # as long as a database takes
        await self.is_open.wait()
        return {id: User(id, self.names[id]) for id in user_ids if id in self.names}  # noqa: A001 -- as users call theirs


@pytest.fixture
def login_manager() -> LoginManager[User]:
    return LoginManager()


@pytest.fixture
def loads() -> None:
    """No user_loader."""


@pytest.fixture
async def table(login_manager: LoginManager[User]) -> Table:
    return Table(login_manager)


@pytest.fixture
def site(app: Quart, table: Table) -> Quart:
    @app.get("/")
    @login_required
    async def home() -> str:
        return current_user.name

    return app


async def name_of(response: Any) -> str:
    return await response.get_data(as_text=True)


async def test_requests_that_wait_share_a_lookup_and_each_gets_its_own_user(
    site: Quart, sign_in: SignIn, table: Table
) -> None:
    clients = [await sign_in(site, str(number)) for number in range(CROWD)]

    answers = await asyncio.gather(*(client.get("/") for client in clients))

    assert [await name_of(answer) for answer in answers] == [f"user {number}" for number in range(CROWD)]
    assert len(table.lookups) <= 3


async def test_an_id_without_a_user_is_an_anonymous_visitor(site: Quart, sign_in: SignIn, table: Table) -> None:
    clients = [await sign_in(site, id) for id in ("0", "gone", "1")]  # noqa: A001 -- as above

    answers = await asyncio.gather(*(client.get("/") for client in clients))

    assert [answer.status_code for answer in answers] == [200, 401, 200]


async def test_two_requests_of_one_user_get_an_object_of_their_own_each(
    site: Quart, sign_in: SignIn, table: Table
) -> None:
    """What one browser's request notes on its user must not be seen by another browser's."""
    seen: list[User] = []

    @site.get("/note")
    async def note() -> str:
        seen.append(await current_user)
        return ""

    clients = [await sign_in(site, "1") for _ in range(5)]
    await asyncio.gather(*(client.get("/note") for client in clients))

    assert len({id(user) for user in seen}) == 5


async def test_a_user_who_is_removed_during_a_lookup_is_gone_for_the_request_that_came_after(
    site: Quart, sign_in: SignIn, table: Table
) -> None:
    client = await sign_in(site, "1")
    table.is_open.clear()
    early = asyncio.create_task(client.get("/"))
    while not table.lookups:
        await asyncio.sleep(0)
    late = asyncio.create_task(client.get("/"))
    await asyncio.sleep(0)
    del table.names["1"]
    table.is_open.set()
    await early

    assert (await late).status_code == 401
    assert table.lookups == [["1"], ["1"]]


async def test_a_request_that_is_cancelled_takes_no_other_with_it(site: Quart, sign_in: SignIn, table: Table) -> None:
    clients = [await sign_in(site, str(number)) for number in range(CROWD)]
    table.is_open.clear()
    requests = [asyncio.create_task(client.get("/")) for client in clients]
    while not table.lookups:
        await asyncio.sleep(0)
    for request in requests[::3]:
        request.cancel()
    await asyncio.sleep(0)
    table.is_open.set()

    answers = await asyncio.gather(*requests, return_exceptions=True)

    for number, answer in enumerate(answers):
        if number % 3:
            assert await name_of(answer) == f"user {number}"


async def test_a_failing_lookup_signs_no_user_out(site: Quart, sign_in: SignIn, table: Table) -> None:
    clients = [await sign_in(site, str(number)) for number in range(3)]
    names, table.names = table.names, None  # type: ignore[assignment]
    failed = await asyncio.gather(*(client.get("/") for client in clients))
    table.names = names

    answers = await asyncio.gather(*(client.get("/") for client in clients))

    assert [answer.status_code for answer in failed] == [500] * 3
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_lookup_runs_in_the_app_and_in_no_request(site: Quart, sign_in: SignIn, table: Table) -> None:
    seen: list[Any] = []
    find = table.find

    @table_loader(site)
    async def find_and_look(user_ids: list[str]) -> dict[str, User]:
        seen.append((current_app.name, has_request_context()))
        return await find(user_ids)

    clients = [await sign_in(site, str(number)) for number in range(3)]
    await clients[0].get("/")
    await asyncio.gather(*(client.get("/") for client in clients))

    assert {len(lookup) == 1 for lookup in table.lookups} == {True, False}, "one request alone, and several together"
    assert set(seen) == {("site", False)}


def table_loader(app: Quart) -> Any:
    return app.extensions["quartlogin"].users_loader


@pytest.mark.parametrize(
    "look",
    [login_id, login_secret_hash, login_fresh, lambda: current_user.name],
    ids=["login_id", "login_secret_hash", "login_fresh", "current_user"],
)
async def test_what_belongs_to_one_request_is_refused_in_a_lookup_for_many(
    visit: Visit, login_manager: LoginManager[User], look: Any
) -> None:
    """The login id of one caller must not decide about the logins of the others."""

    @login_manager.users_loader
    async def find(user_ids: list[str]) -> Any:
        return look()

    async with visit("1"):
        with pytest.raises(UserNotLoadedError, match="users_loader"):
            await current_user


async def test_a_log_filter_may_look_within_a_lookup(visit: Visit, login_manager: LoginManager[User]) -> None:
    seen: list[Any] = []

    @login_manager.users_loader
    async def find(user_ids: list[str]) -> dict[str, User]:
        seen.append(loaded_user())
        return {}

    async with visit("1"):
        await current_user

    assert seen == [None]


async def test_awaiting_current_user_in_a_lookup_raises_instead_of_hanging(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    @login_manager.users_loader
    async def find(user_ids: list[str]) -> Any:
        return await current_user

    async with visit("1"):
        with pytest.raises(UserNotLoadedError):
            await current_user


async def test_a_def_loader_of_many_runs_in_a_thread(visit: Visit, login_manager: LoginManager[User]) -> None:
    login_manager.users_loader(lambda user_ids: {id: User(id, "Ada") for id in user_ids})  # noqa: A001 -- as above

    async with visit("1"):
        assert (await current_user).name == "Ada"


async def test_the_loader_of_many_serves_each_app_in_its_own_context(make_app: Any, sign_in: SignIn) -> None:
    login_manager: LoginManager[User] = LoginManager()
    apps = [make_app(name) for name in ("one", "other")]

    @login_manager.users_loader
    async def find(user_ids: list[str]) -> dict[str, User]:
        name = current_app.name
        await asyncio.sleep(0)
        return {id: User(id, name) for id in user_ids}  # noqa: A001 -- as above

    async def home() -> str:
        return (await current_user).name

    for app in apps:
        login_manager.init_app(app)
        app.add_url_rule("/", view_func=home)
    clients = [await sign_in(apps[number % 2], str(number)) for number in range(6)]
    answers = await asyncio.gather(*(client.get("/") for client in clients))

    assert [await name_of(answer) for answer in answers] == ["one", "other"] * 3


@pytest.mark.parametrize("first", ["user_loader", "users_loader"])
def test_two_kinds_of_loader_are_an_error_at_once(login_manager: LoginManager[User], first: str) -> None:
    second = {"user_loader": "users_loader", "users_loader": "user_loader"}[first]
    getattr(login_manager, first)(lambda _: None)

    with pytest.raises(ConfigurationError, match="not both"):
        getattr(login_manager, second)(lambda _: None)


async def test_ids_of_another_type_are_an_error_and_sign_no_user_out(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    @login_manager.users_loader
    async def find(user_ids: list[str]) -> Any:
        return {int(id): User(id, "Ada") for id in user_ids}  # noqa: A001 -- as above

    async with visit("1"):
        with pytest.raises(ConfigurationError, match=r"\b1\b.*'1'"):
            await current_user


async def test_a_websockets_recheck_is_a_lookup_of_its_own(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], table: Table
) -> None:
    login_manager.websocket_recheck = timedelta(milliseconds=1)

    @app.websocket("/live")
    @login_required
    async def live() -> None:
        await websocket.send("open")
        await asyncio.Event().wait()

    client = await sign_in(app, "1")
    async with asyncio.timeout(60), client.websocket("/live") as socket:
        await socket.receive()
        del table.names["1"]
        while app.extensions["quartlogin"].sockets._by_login or len(table.lookups) < 2:
            await asyncio.sleep(0)

    assert table.lookups[:2] == [["1"], ["1"]]
