"""`login_secret_hash()`: a session knows which remember cookie of its login it came with."""

from datetime import timedelta
from typing import Any

import pytest
from browsers import contents_of, restart, set_by
from quart import Quart, Response, session, websocket
from users import ADA, User

from quartlogin import (
    Login,
    LoginManager,
    NoRecords,
    confirm_login,
    create_bearer_token,
    current_user,
    hash_of_secret,
    login_secret_hash,
    login_user,
    logout_user,
)


class Renewing(NoRecords):
    """Records that take every new secret."""

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        return new_secret is not None


@pytest.fixture
def seen_by_loader() -> list[str | None]:
    """What `login_secret_hash()` said in the loader, one entry a call."""
    return []


@pytest.fixture
def site(bare_app: Quart, seen_by_loader: list[str | None]) -> Quart:
    login_manager: LoginManager[User] = LoginManager(bare_app)
    login_manager.records = Renewing()

    @login_manager.user_loader
    async def load(_: str) -> User:
        seen_by_loader.append(login_secret_hash())
        return ADA

    @bare_app.post("/login/<remember>")
    async def login(remember: str) -> str:
        await login_user(ADA, remember=remember == "remember")
        return ""

    @bare_app.get("/")
    async def page() -> dict[str, Any]:
        await current_user
        return {"hash": login_secret_hash(), "in session": session.get("_secret_hash")}

    @bare_app.post("/confirm")
    async def confirm() -> str:
        await confirm_login()
        return ""

    @bare_app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @bare_app.websocket("/live")
    async def live() -> None:
        await current_user
        await websocket.send(login_secret_hash() or "nothing")

    @bare_app.get("/token")
    async def token() -> str:
        return await create_bearer_token(ADA, duration=timedelta(hours=1), name="a program")

    return bare_app


def hash_in(response: Response) -> str:
    """The hash of the secret in the remember cookie that an answer sets."""
    return hash_of_secret(contents_of(set_by(response)["remember_token"])[3])


async def test_a_session_knows_the_secret_of_the_cookie_that_was_set_with_it(
    site: Quart, seen_by_loader: list[str | None]
) -> None:
    browser = site.test_client()
    answer = await browser.post("/login/remember")

    page = await (await browser.get("/")).get_json()

    assert page["hash"] == page["in session"] == hash_in(answer)
    assert seen_by_loader == [hash_in(answer)]


async def test_a_login_that_is_not_remembered_has_none(site: Quart, seen_by_loader: list[str | None]) -> None:
    browser = site.test_client()
    await browser.post("/login/not")

    assert await (await browser.get("/")).get_json() == {"hash": None, "in session": None}
    assert seen_by_loader == [None]


async def test_while_the_cookie_itself_is_looked_at_there_is_nothing_to_compare(
    site: Quart, seen_by_loader: list[str | None]
) -> None:
    browser = site.test_client()
    await browser.post("/login/remember")
    restart(browser)

    restored = await browser.get("/")
    page = await (await browser.get("/")).get_json()

    assert seen_by_loader == [None, hash_in(restored)]
    assert page["hash"] == hash_in(restored)


async def test_a_websocket_that_the_cookie_itself_has_opened_came_with_it(
    site: Quart, seen_by_loader: list[str | None]
) -> None:
    browser = site.test_client()
    answer = await browser.post("/login/remember")
    restart(browser)

    async with browser.websocket("/live") as socket:
        assert await socket.receive() == hash_in(answer)

    assert seen_by_loader == [None]  # while the cookie itself was looked at


async def test_a_confirmed_login_comes_with_its_new_cookie(site: Quart, seen_by_loader: list[str | None]) -> None:
    browser = site.test_client()
    await browser.post("/login/remember")

    confirmed = await browser.post("/confirm")
    await browser.get("/")

    assert seen_by_loader[-1] == hash_in(confirmed)


async def test_a_bearer_token_has_none_also_beside_a_session_that_has(
    site: Quart, seen_by_loader: list[str | None]
) -> None:
    browser = site.test_client()
    await browser.post("/login/remember")
    token = await (await browser.get("/token")).get_data(as_text=True)
    seen_by_loader.clear()

    await browser.get("/", headers={"Authorization": f"Bearer {token}"})

    assert seen_by_loader == [None]


async def test_signing_out_and_in_again_without_remembering_leaves_none_behind(site: Quart) -> None:
    browser = site.test_client()
    await browser.post("/login/remember")
    await browser.post("/logout")
    await browser.post("/login/not")

    assert (await (await browser.get("/")).get_json())["in session"] is None


def test_outside_of_a_request_there_is_none() -> None:
    assert login_secret_hash() is None
