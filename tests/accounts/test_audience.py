"""Two apps on one accounts database: which sign-ins count in both, and which are another app's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from client import KEY, Visitor, header_of, make_token
from databases import run_sql
from quartlogin import ConfigurationError, LoginManager, SignedSessionInterface, current_user
from quartlogin.accounts import Accounts
from quartlogin.accounts.testing import PASSWORD, create_user, use_cheap_hashes

SESSIONS = pytest.mark.parametrize("sessions", ["Quart's", pytest.param("signed", marks=pytest.mark.slow)])


def make_app(name: str, folder: Path, **options: Any) -> Quart:
    app = Quart(name, root_path=str(folder))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(folder / "accounts.sqlite3"), **options)
    use_cheap_hashes(app)

    @app.get("/whoami")
    async def whoami() -> str:
        user = await current_user
        return str(user.username) if user.is_authenticated else "nobody"

    return app


@asynccontextmanager
async def started(*apps: Quart) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.test_app())
        yield


async def who_is(app: Quart, **headers: str) -> str:
    answer = await app.test_client(use_cookies=False).get("/whoami", headers=headers)
    assert answer.status_code == 200
    return await answer.get_data(as_text=True)


async def sign_in(app: Quart) -> tuple[Visitor, dict[str, dict[str, str]]]:
    """Sign Ada in; returns her browser, and the headers of each thing that signs a request in."""
    ada = Visitor(app.test_client())
    await ada.fill_in("/login", username="ada", password=PASSWORD, remember="y")
    token = await make_token(ada)
    cookies = {name: ada.cookies[name] for name in ("session", "remember_token")}
    headers = {name: header_of({name: value}) for name, value in cookies.items()}
    return ada, headers | {"API token": {"Authorization": f"Bearer {token}"}}


@SESSIONS
async def test_apps_with_the_same_audience_share_every_sign_in(tmp_path: Path, sessions: str) -> None:
    shop, forum = [make_app(name, tmp_path, audience="us") for name in ("shop", "forum")]
    if sessions == "signed":
        for app in (shop, forum):
            app.session_interface = SignedSessionInterface(audience="us")

    async with started(shop, forum):
        await create_user(shop)
        ada, headers = await sign_in(shop)
        in_both = {name: await who_is(forum, **sent) for name, sent in headers.items()}
        at_forum = Visitor(forum.test_client())
        at_forum.client.cookie_jar = ada.client.cookie_jar or CookieJar()
        copies = header_of(ada.cookies)
        await at_forum.sign_out()
        afterwards = [await who_is(app, **copies) for app in (shop, forum)]

    assert in_both == dict.fromkeys(headers, "ada")
    assert afterwards == ["nobody", "nobody"]


@pytest.mark.requirement("9.2.3", "9.2.4")
@SESSIONS
@pytest.mark.parametrize(
    "audiences",
    [
        ({}, {}),
        pytest.param(({"audience": "shop's"}, {"audience": "forum's"}), marks=pytest.mark.slow),
        pytest.param(({"audience": "us"}, {}), marks=pytest.mark.slow),
    ],
)
async def test_replay_of_a_sign_in_at_an_app_with_another_audience_fails(
    tmp_path: Path, sessions: str, audiences: tuple[dict[str, str], dict[str, str]]
) -> None:
    shop, forum = [make_app(name, tmp_path, **given) for name, given in zip(("shop", "forum"), audiences, strict=True)]
    for app, given in zip((shop, forum), audiences, strict=True):
        if sessions == "signed":
            app.session_interface = SignedSessionInterface(**given)

    async with started(shop, forum):
        await create_user(shop)
        _, headers = await sign_in(shop)
        elsewhere = {name: await who_is(forum, **sent) for name, sent in headers.items()}
        here = {name: await who_is(shop, **sent) for name, sent in headers.items()}

    assert elsewhere == dict.fromkeys(headers, "nobody")
    assert here == dict.fromkeys(headers, "ada"), "the other app has ended it"


async def test_on_another_host_the_account_is_the_same_and_the_sign_in_another(tmp_path: Path) -> None:
    shop, forum = [make_app(name, tmp_path, audience="us") for name in ("shop", "forum")]

    async with started(shop, forum):
        at_shop, at_forum = Visitor(shop.test_client()), Visitor(forum.test_client())
        await at_shop.register("Ada", PASSWORD)
        not_yet = await at_forum.is_signed_in()
        await at_forum.sign_in("ada", PASSWORD)
        listed = (await at_forum.get("/account")).text.count('/revoke"')
        await at_shop.sign_out()
        still = await at_forum.is_signed_in()

    assert (not_yet, listed, still) == (False, 2, True)


async def test_the_logins_of_the_application_are_stored_as_before_audiences(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await visitor.register("Ada")
    contents = app.session_interface.get_signing_serializer(app).loads(visitor.cookies["quartlogin"])

    [(stored,)] = run_sql(database, "SELECT id_hash FROM quartlogin_logins")
    assert stored == sha256(contents["_login_id"].encode()).hexdigest()


@pytest.mark.parametrize("audience", ["", " ", "two\nlines", "x" * 65, 5])
def test_an_audience_that_cannot_be_is_refused_at_once(tmp_path: Path, audience: Any) -> None:
    with pytest.raises(ConfigurationError, match="audience"):
        make_app("shop", tmp_path, audience=audience)


def share_below_a_path(app: Quart) -> None:
    app.config["SESSION_COOKIE_PATH"] = "/shop"


def share_below_the_apps_root(app: Quart) -> None:
    app.config["APPLICATION_ROOT"] = "/shop"


def remember_below_a_path(app: Quart) -> None:
    app.config["REMEMBER_COOKIE_PATH"] = "/shop"


def sign_for_the_app_alone(app: Quart) -> None:
    app.session_interface = SignedSessionInterface()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (share_below_a_path, "SESSION_COOKIE_PATH"),
        (share_below_the_apps_root, "SESSION_COOKIE_PATH"),
        (remember_below_a_path, "REMEMBER_COOKIE_PATH"),
        (sign_for_the_app_alone, "SignedSessionInterface"),
    ],
)
async def test_cookies_that_cannot_be_shared_stop_the_start(tmp_path: Path, spoil: Any, named: str) -> None:
    app = make_app("shop", tmp_path, audience="us")
    spoil(app)

    with pytest.raises(ConfigurationError, match=named):
        await app.startup()


async def test_an_app_that_shares_nothing_may_keep_its_cookies_to_itself(tmp_path: Path) -> None:
    app = make_app("shop", tmp_path)
    for spoil in (share_below_a_path, remember_below_a_path, sign_for_the_app_alone):
        spoil(app)

    async with app.test_app():
        pass


def test_a_login_manager_with_another_audience_is_refused(tmp_path: Path) -> None:
    manager: LoginManager[Any] = LoginManager()
    manager.audience = "them"

    with pytest.raises(ConfigurationError, match="audience"):
        make_app("shop", tmp_path, audience="us", login_manager=manager)
