"""`LoginManager.records`: what an app that records its logins receives and decides; replay of old cookies."""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from browsers import KEY, contents_of, home, is_deletion, restart, see, set_by, sign_in_ada
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quart import Quart, session, websocket
from quart.testing import QuartClient
from users import ADA, BY_ID, GRACE, Receive, SignIn, User

from amounts import examples
from quartlogin import (
    Login,
    LoginManager,
    LoginRecords,
    LoginRefused,
    NoRecords,
    QuartLoginClient,
    confirm_login,
    create_bearer_token,
    current_user,
    login_id,
    login_user,
    logout_user,
    user_loaded_from_cookie,
    user_logged_in,
)


class Told:
    """Records that write down what they are told, and decide what the test wants."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.new_secrets: list[str | None] = []
        self.takes_new_secrets = False
        self.error: dict[str, Exception] = {}

    async def login_began(self, login: Login) -> None:
        self._hear("began", login)

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        self.new_secrets.append(new_secret)
        self._hear("restored", login)
        return self.takes_new_secrets

    async def login_renewed(self, old_id: str, login: Login) -> None:
        self._hear("renewed", (old_id, login))

    async def login_ended(self, login_id: str) -> None:
        self._hear("ended", login_id)

    def _hear(self, what: str, which: Any) -> None:
        self.said.append((what, which))
        if what in self.error:
            raise self.error[what]

    @property
    def words(self) -> list[str]:
        return [what for what, _ in self.said]


@pytest.fixture
def told(login_manager: LoginManager[User]) -> Told:
    told = Told()
    login_manager.records = told
    return told


def with_views(app: Quart, how: dict[str, Any]) -> Quart:
    """Give an app a login view for Ada, one for Grace, a logout, a page, and one that asks for the password again."""

    @app.post("/login")
    async def login() -> dict[str, Any]:
        return {"signed_in": await login_user(ADA, **how), "session": dict(session)}

    @app.post("/login/grace")
    async def login_grace() -> dict[str, Any]:
        return {"signed_in": await login_user(GRACE), "session": dict(session)}

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.post("/confirm")
    async def confirm() -> str:
        await current_user
        await confirm_login()
        return ""

    app.add_url_rule("/", view_func=home)

    return app


@pytest.fixture
def how() -> dict[str, Any]:
    """What the login view gives to `login_user`."""
    return {"remember": True}


@pytest.fixture
def site(app: Quart, how: dict[str, Any], told: Told) -> Quart:
    return with_views(app, how)


def comes_with(app: Quart, **cookies: str) -> QuartClient:
    """A browser with these cookies."""
    browser = app.test_client()
    for name, value in cookies.items():
        browser.set_cookie("localhost", name, value)
    return browser


# --- a login begins -------------------------------------------------------------------------------------------


async def test_the_records_see_the_user_object_but_not_where_only_a_cookie_names_it(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    await browser.post("/confirm")
    restart(browser)
    await see(browser)

    began, (_, renewed), restored = (which for _, which in told.said)
    assert (began.user, renewed.user, restored.user) == (ADA, ADA, None)


async def test_a_bearer_token_may_have_a_name(site: Quart, told: Told) -> None:
    async with site.test_request_context("/"):
        await create_bearer_token(ADA, duration=timedelta(hours=1), name="a program")
        await create_bearer_token(ADA, duration=timedelta(hours=1))

    assert [(login.name, login.user) for _, login in told.said] == [("a program", ADA), (None, ADA)]


async def test_a_login_that_is_not_remembered_has_no_secret(site: Quart, how: dict[str, Any], told: Told) -> None:
    how["remember"] = False
    browser = site.test_client()

    await browser.post("/login")
    page = await see(browser)

    assert told.said == [("began", Login(page["login_id"], "1", is_fresh=True))]


async def test_a_remembered_login_has_the_secret_and_the_end_of_its_cookie(site: Quart, told: Told) -> None:
    browser, cookie = await sign_in_ada(site)
    page = await see(browser)

    _, login, expires_at, secret, _ = contents_of(cookie)

    assert told.said == [("began", Login(page["login_id"], "1", secret=secret, expires_at=expires_at, is_fresh=True))]
    assert login == page["login_id"]
    assert len(secret) == 32


async def test_no_two_logins_have_the_same_secret(site: Quart) -> None:
    secrets = [contents_of((await sign_in_ada(site))[1])[3] for _ in range(20)]

    assert len(set(secrets)) == 20


async def test_the_secret_is_not_the_logins_id_and_is_not_in_the_session(site: Quart) -> None:
    browser, cookie = await sign_in_ada(site)

    contents = (await see(browser))["session"]

    assert contents_of(cookie)[3] not in contents.values()


async def test_the_records_are_called_before_anything_is_written(
    app: Quart, login_manager: LoginManager[User], loads: list[str]
) -> None:
    seen: list[Any] = []

    class Watching(NoRecords):
        async def login_began(self, login: Login) -> None:
            seen.append((dict(session), (await current_user).is_anonymous))

    login_manager.records = Watching()

    async with app.test_request_context("/"):
        await login_user(ADA)

    assert seen == [({}, True)]


async def test_an_inactive_user_is_not_reported(site: Quart, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ADA, "active", False)

    await site.test_client().post("/login")

    assert told.said == []


async def test_a_login_in_the_place_of_another_ends_that_one(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    first = (await see(browser))["login_id"]
    told.said.clear()

    await browser.post("/login/grace")
    second = (await see(browser))["login_id"]

    assert told.said == [("began", Login(second, "2", is_fresh=True)), ("ended", first)]


async def test_signing_in_again_ends_the_login_before_it(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    first = (await see(browser))["login_id"]

    await browser.post("/login")

    assert told.words == ["began", "began", "ended"]
    assert told.said[-1] == ("ended", first)


async def test_a_login_after_a_restart_ends_the_remembered_one(site: Quart, told: Told) -> None:
    """Its cookie is replaced in this browser; a copy of it must be worth nothing, too."""
    browser, cookie = await sign_in_ada(site)
    restart(browser)

    await browser.post("/login/grace")

    assert told.said[-1] == ("ended", contents_of(cookie)[1])


# --- a login is refused ---------------------------------------------------------------------------------------


async def test_a_refused_login_is_false_and_nothing_changes(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    before = await see(browser)
    told.error["began"] = LoginRefused("too many")

    response = await browser.post("/login/grace")

    assert (await response.get_json())["signed_in"] is False
    assert set_by(response) == {}
    assert await see(browser) == before
    assert told.words == ["began", "began"]


async def test_a_refused_login_leaves_current_user_as_it_was(app: Quart, told: Told) -> None:
    told.error["began"] = LoginRefused("too many")

    async with app.test_request_context("/"):
        session["_user_id"] = "2"
        signed_in = await login_user(ADA, remember=True)

        assert signed_in is False
        assert await current_user is GRACE
        assert dict(session) == {"_user_id": "2"}


async def test_a_refused_login_is_not_announced(site: Quart, told: Told) -> None:
    announced: list[Any] = []
    told.error["began"] = LoginRefused("too many")

    async def receive(_sender: Any, user: Any) -> None:
        announced.append(user)

    with user_logged_in.connected_to(receive, site):
        await site.test_client().post("/login")

    assert announced == []


async def test_another_error_of_the_records_is_raised_and_does_not_sign_in(app: Quart, told: Told) -> None:
    told.error["began"] = OSError("the database is down")

    async with app.test_request_context("/"):
        with pytest.raises(OSError, match="the database is down"):
            await login_user(ADA, remember=True)

        assert dict(session) == {}


# --- a login is restored --------------------------------------------------------------------------------------


async def test_a_restored_login_is_reported_with_the_contents_of_its_cookie(site: Quart, told: Told) -> None:
    browser, cookie = await sign_in_ada(site)
    restart(browser)
    told.said.clear()

    page = await see(browser)

    _, login, expires_at, secret, _ = contents_of(cookie)
    assert told.said == [("restored", Login(login, "1", secret=secret, expires_at=expires_at))]
    assert page["login_id"] == login


async def test_a_login_is_restored_once_and_then_in_the_session(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)

    await see(browser)
    await see(browser)

    assert told.words == ["began", "restored"]


async def test_a_new_secret_is_offered_at_each_restore(site: Quart, told: Told) -> None:
    browser, cookie = await sign_in_ada(site)

    restart(browser)
    await see(browser)
    restart(browser)
    await see(browser)

    secrets = {contents_of(cookie)[3], *told.new_secrets}
    assert len(secrets) == 3
    assert {len(str(secret)) for secret in secrets} == {32}


async def test_a_new_secret_that_is_taken_is_in_the_cookie_and_nothing_else_changes(
    site: Quart, how: dict[str, Any], told: Told
) -> None:
    told.takes_new_secrets = True
    how["duration"] = timedelta(days=7)
    browser, before = await sign_in_ada(site)
    restart(browser)

    after = set_by(await browser.get("/"))["remember_token"]

    user_id, login, expires_at, _, seconds = contents_of(before)
    assert contents_of(after) == [user_id, login, expires_at, told.new_secrets[0], seconds]
    assert seconds == 7 * 24 * 60 * 60
    assert after["expires"] == before["expires"]


async def test_a_new_secret_does_not_prolong_the_cookie(
    site: Quart, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.takes_new_secrets = True
    browser, before = await sign_in_ada(site)
    restart(browser)
    later = time.time() + 1_000_000
    monkeypatch.setattr(time, "time", lambda: later)

    after = set_by(await browser.get("/"))["remember_token"]

    assert contents_of(after)[2] == contents_of(before)[2]
    assert after["expires"] == before["expires"]


async def test_the_new_secret_is_what_the_next_restore_comes_with(site: Quart, told: Told) -> None:
    told.takes_new_secrets = True
    browser, _ = await sign_in_ada(site)

    restart(browser)
    await see(browser)
    restart(browser)
    await see(browser)

    assert told.said[-1][1].secret == told.new_secrets[0]


async def test_a_new_secret_that_is_not_taken_leaves_the_cookie_as_it_is(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)

    response = await browser.get("/")

    assert told.words == ["began", "restored"]
    assert set_by(response).keys() == {"session"}


async def test_refreshing_keeps_the_secret(site: Quart, told: Told) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser, before = await sign_in_ada(site)
    restart(browser)

    restored = set_by(await browser.get("/"))["remember_token"]
    later = set_by(await browser.get("/"))["remember_token"]

    assert [contents_of(cookie)[3] for cookie in (before, restored, later)] == [contents_of(before)[3]] * 3


async def test_refreshing_does_not_bring_back_a_replaced_secret(site: Quart, told: Told) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    told.takes_new_secrets = True
    browser, _ = await sign_in_ada(site)
    restart(browser)

    restored = set_by(await browser.get("/"))["remember_token"]
    later = set_by(await browser.get("/"))["remember_token"]

    assert contents_of(restored)[3] == told.new_secrets[0]
    assert contents_of(later)[3] == told.new_secrets[0]


async def test_a_refused_restore_is_anonymous_and_the_cookie_is_deleted(
    site: Quart, told: Told, loads: list[str]
) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    told.error["restored"] = LoginRefused("ended")

    response = await browser.get("/")
    page = await response.get_json()

    assert (response.status_code, page["name"], page["login_id"], page["fresh"]) == (200, None, None, False)
    assert is_deletion(set_by(response)["remember_token"])
    assert list(browser.cookie_jar or ()) == []
    assert loads == ["1"]


async def test_a_refused_restore_is_not_announced(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    told.error["restored"] = LoginRefused("ended")
    announced: list[Any] = []

    async def receive(_sender: Any, user: Any) -> None:
        announced.append(user)

    with user_loaded_from_cookie.connected_to(receive, site):
        await see(browser)

    assert announced == []


async def test_another_error_at_a_restore_is_an_error_of_that_request_only(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    told.error["restored"] = OSError("the database is down")

    response = await browser.get("/")
    told.error.clear()

    assert (response.status_code, set_by(response)) == (500, {})
    assert (await see(browser))["name"] == "Ada"


async def test_a_user_whom_the_loader_does_not_know_any_more_gets_no_new_cookie(
    site: Quart, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.takes_new_secrets = True
    browser, _ = await sign_in_ada(site)
    restart(browser)
    monkeypatch.delitem(BY_ID, "1")

    response = await browser.get("/")

    assert is_deletion(set_by(response)["remember_token"])
    assert list(browser.cookie_jar or ()) == []


@pytest.mark.parametrize("cookie", ["", "broken", "1|é"])
async def test_a_broken_cookie_is_not_reported(site: Quart, told: Told, cookie: str) -> None:
    await see(comes_with(site, remember_token=cookie))

    assert told.said == []


@pytest.mark.parametrize("takes", [True, False])
async def test_a_websocket_is_offered_no_new_secret(site: Quart, told: Told, receive: Receive, takes: bool) -> None:
    told.takes_new_secrets = takes
    _, cookie = await sign_in_ada(site)

    @site.websocket("/live")
    async def live() -> None:
        name = (await current_user).name
        await websocket.send(json.dumps([name, login_id(), session.modified]))

    answer = json.loads(await receive(site, f"remember_token={cookie.value}"))

    assert answer == ["Ada", contents_of(cookie)[1], False]
    assert told.new_secrets == [None]
    assert told.said[-1][1].secret == contents_of(cookie)[3]


async def test_a_websocket_whose_restore_is_refused_is_anonymous(site: Quart, told: Told, receive: Receive) -> None:
    told.error["restored"] = LoginRefused("ended")
    _, cookie = await sign_in_ada(site)

    @site.websocket("/live")
    async def live() -> None:
        is_anonymous = (await current_user).is_anonymous
        await websocket.send(json.dumps([is_anonymous, login_id(), session.modified]))

    assert json.loads(await receive(site, f"remember_token={cookie.value}")) == [True, None, False]


# --- a login is renewed ---------------------------------------------------------------------------------------


async def test_a_confirmed_login_goes_on_under_a_new_id(site: Quart, how: dict[str, Any], told: Told) -> None:
    how["remember"] = False
    browser = site.test_client()
    await browser.post("/login")
    old = (await see(browser))["login_id"]
    told.said.clear()

    await browser.post("/confirm")
    new = (await see(browser))["login_id"]

    assert new != old
    assert told.said == [("renewed", (old, Login(new, "1", is_fresh=True)))]


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("rest", [restart, lambda browser: None], ids=["restored", "in the session"])
async def test_a_confirmed_login_that_is_remembered_gets_a_new_secret(
    site: Quart, told: Told, takes: bool, rest: Callable[[QuartClient], None]
) -> None:
    told.takes_new_secrets = takes
    browser, before = await sign_in_ada(site)
    rest(browser)

    after = set_by(await browser.post("/confirm"))["remember_token"]

    page = await see(browser)
    old, new = contents_of(before), contents_of(after)
    assert told.said[-1] == (
        "renewed",
        (old[1], Login(page["login_id"], "1", secret=new[3], expires_at=old[2], is_fresh=True)),
    )
    assert new[1] == page["login_id"] != old[1]
    assert new[3] not in {old[3], *told.new_secrets}


async def test_an_anonymous_visitors_confirmation_is_not_reported(site: Quart, told: Told) -> None:
    response = await site.test_client().post("/confirm")

    assert response.status_code == 200
    assert told.said == []


async def test_a_refused_renewal_changes_nothing(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    before = await see(browser)
    told.error["renewed"] = LoginRefused("ended meanwhile")

    response = await browser.post("/confirm")

    assert set_by(response) == {}
    assert await see(browser) == before


# --- a login ends ---------------------------------------------------------------------------------------------


async def test_a_logout_is_reported(site: Quart, told: Told) -> None:
    browser, _ = await sign_in_ada(site)
    login = (await see(browser))["login_id"]

    await browser.post("/logout")

    assert told.said[1:] == [("ended", login)]


async def test_a_logout_after_a_restart_is_reported(site: Quart, told: Told) -> None:
    browser, cookie = await sign_in_ada(site)
    restart(browser)

    await browser.post("/logout")

    assert told.said[-1] == ("ended", contents_of(cookie)[1])


async def test_a_logout_ends_the_login_of_the_cookie_that_it_deletes_too(
    site: Quart, told: Told, sign_in: SignIn
) -> None:
    """Both cookies are this browser's, and nobody who leaves means one of them only."""
    _, cookie = await sign_in_ada(site)
    browser = await sign_in(site, "1", _login_id="of the session")
    browser.set_cookie("localhost", "remember_token", cookie.value)

    await browser.post("/logout")

    assert {which for what, which in told.said if what == "ended"} == {"of the session", contents_of(cookie)[1]}


async def test_a_logout_of_an_anonymous_visitor_is_not_reported(site: Quart, told: Told) -> None:
    await site.test_client().post("/logout")

    assert told.said == []


async def test_a_logout_with_a_broken_cookie_is_not_reported(site: Quart, told: Told) -> None:
    browser = comes_with(site, remember_token="broken")

    await browser.post("/logout")

    assert told.said == []


async def test_the_records_hear_of_the_end_before_the_session_forgets_it(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    """If they fail, the user is told so, and is still signed in."""
    told = Told()
    told.error["ended"] = OSError("the database is down")
    login_manager.records = told

    async with app.test_request_context("/"):
        session.update(_user_id="1", _login_id="x")
        with pytest.raises(OSError, match="the database is down"):
            await logout_user()

        assert session["_login_id"] == "x"


# --- bearer tokens and the test client ------------------------------------------------------------------------


async def test_a_bearer_token_is_a_login_of_its_own(site: Quart, told: Told) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    page = await see(site.test_client(), headers={"Authorization": f"Bearer {token}"})

    [(what, login)] = told.said
    assert what == "began"
    assert (login.id, login.user_id, login.kind, login.secret) == (page["login_id"], "1", "bearer", None)
    assert isinstance(login.expires_at, int)


async def test_a_refused_bearer_token_is_not_made(site: Quart, told: Told) -> None:
    told.error["began"] = LoginRefused("too many")

    async with site.test_request_context("/"):
        with pytest.raises(LoginRefused, match="too many"):
            await create_bearer_token(ADA, duration=timedelta(hours=1))


async def test_a_logout_with_a_bearer_token_ends_that_token_and_not_the_session(site: Quart, told: Told) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    of_token = told.said[0][1].id
    browser, _ = await sign_in_ada(site)

    response = await browser.post("/logout", headers={"Authorization": f"Bearer {token}"})

    assert told.said[-1] == ("ended", of_token)
    assert set_by(response) == {}
    assert (await see(browser))["name"] == "Ada"


async def test_a_login_beside_a_bearer_token_ends_the_sessions_login_and_not_the_token(site: Quart, told: Told) -> None:
    """It takes the session's place; the API client that holds the token goes on."""
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    browser, cookie = await sign_in_ada(site)

    await browser.post("/login", headers={"Authorization": f"Bearer {token}"})

    assert [which for what, which in told.said if what == "ended"] == [contents_of(cookie)[1]]


async def test_a_login_beside_a_bearer_token_is_remembered_with_the_secret_that_was_told(
    site: Quart, told: Told
) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    response = await site.test_client().post("/login", headers={"Authorization": f"Bearer {token}"})
    cookie = set_by(response)["remember_token"]

    assert contents_of(cookie)[3] == told.said[-1][1].secret


async def test_a_signed_in_test_client_is_reported(site: Quart, told: Told) -> None:
    site.test_client_class = QuartLoginClient

    page = await see(site.test_client(user=ADA))

    assert told.said == [("began", Login(page["login_id"], "1", is_fresh=True))]


async def test_an_app_without_records_keeps_the_cookies_as_they_are() -> None:
    records: LoginRecords = NoRecords()

    assert await records.login_restored(Login("x", "1"), "new") is False


# --- nothing old signs in -------------------------------------------------------------------------------------


class Register:
    """Records as an app keeps them: which logins count, and the secret of each one's last cookie."""

    def __init__(self) -> None:
        self.live: dict[str, str | None] = {}

    async def login_began(self, login: Login) -> None:
        self.live[login.id] = login.secret

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        if login.secret is None or self.live.get(login.id) != login.secret:
            raise LoginRefused("This cookie is not the last one.")
        if new_secret is None:
            return False
        self.live[login.id] = new_secret
        return True

    async def login_renewed(self, old_id: str, login: Login) -> None:
        del self.live[old_id]
        self.live[login.id] = login.secret

    async def login_ended(self, login_id: str) -> None:
        self.live.pop(login_id, None)


class Story:
    """One browser, and everybody who looks over its shoulder: no cookie that it ever had is forgotten."""

    def __init__(self) -> None:
        self.register = Register()
        self.how: dict[str, Any] = {}
        self.seen: dict[str, set[str]] = {"session": set(), "remember_token": set()}
        self.app = with_views(Quart("site", template_folder=None, static_folder=None), self.how)
        self.app.secret_key = KEY
        self.app.config["SESSION_PROTECTION"] = None
        manager = LoginManager[User](self.app)
        manager.records = self.register
        manager.user_loader(self.load)
        self.browser = self.app.test_client()

    async def load(self, user_id: str) -> User | None:
        return BY_ID.get(user_id) if login_id() in self.register.live else None

    async def login(self) -> None:
        self.how.update(remember=False)
        await self._post("/login")

    async def login_remembered(self) -> None:
        self.how.update(remember=True)
        await self._post("/login")

    async def login_as_grace(self) -> None:
        await self._post("/login/grace")

    async def confirm(self) -> None:
        await self._post("/confirm")

    async def logout(self) -> None:
        await self._post("/logout")

    async def look(self) -> None:
        await self.browser.get("/")
        self._note()

    async def restart(self) -> None:
        restart(self.browser)
        if not self.browser.cookie_jar:
            self.register.live.clear()  # nobody can end a login whose cookies are lost; let its time be over

    async def names_of_all_old_cookies(self) -> set[str | None]:
        """Who is signed in by any two of the cookies that there ever were."""
        pairs = product(self.seen["session"] | {""}, self.seen["remember_token"] | {""})
        return {
            (await see(comes_with(self.app, session=old, remember_token=remembered)))["name"]
            for old, remembered in pairs
        }

    async def _post(self, path: str) -> None:
        response = await self.browser.post(path)
        assert response.status_code == 200
        self._note()

    def _note(self) -> None:
        for cookie in self.browser.cookie_jar or ():
            self.seen[cookie.name].add(str(cookie.value))


Step = Callable[[Story], Awaitable[None]]

STEPS = st.lists(
    st.sampled_from(
        [
            Story.login,
            Story.login_remembered,
            Story.login_as_grace,
            Story.confirm,
            Story.logout,
            Story.look,
            Story.restart,
        ]
    ),
    max_size=7,
)


@pytest.mark.slow
@pytest.mark.requirement("V23")
@given(STEPS)
@example([Story.login])
@example([Story.login_remembered, Story.restart, Story.look])
@example([Story.login_remembered, Story.restart, Story.confirm])
@example([Story.login_remembered, Story.confirm, Story.restart, Story.look])
@settings(max_examples=examples(60))
async def test_replay_of_old_cookies_after_a_logout_fails(steps: list[Step]) -> None:
    story = Story()

    for step in steps:
        await step(story)
    await story.logout()

    assert await story.names_of_all_old_cookies() == {None}
    assert story.register.live == {}


@pytest.mark.slow
@given(STEPS)
@example([Story.login_remembered])
@example([Story.login_remembered, Story.restart])
@example([Story.login_remembered, Story.restart, Story.look])
@settings(max_examples=examples(60))
async def test_replay_of_old_cookies_after_a_new_login_fails(steps: list[Step]) -> None:
    story = Story()

    for step in steps:
        await step(story)
    await story.login_as_grace()

    assert await story.names_of_all_old_cookies() == {None, "Grace"}
    assert len(story.register.live) == 1


async def test_replay_of_a_copy_of_the_cookies_works_until_then() -> None:
    story = Story()

    await story.login_remembered()

    assert await story.names_of_all_old_cookies() == {None, "Ada"}


async def test_replay_an_ended_login_cannot_be_revived_by_confirming_it(
    site: Quart, told: Told, loads: list[str]
) -> None:
    browser, _ = await sign_in_ada(site)
    told.said.clear()
    current_manager_of(site).user_loader(nobody)

    await browser.post("/confirm")

    assert told.said == []


def current_manager_of(site: Quart) -> LoginManager[User]:
    manager: LoginManager[User] = site.login_manager  # type: ignore[attr-defined]
    return manager


async def nobody(user_id: str) -> None:
    return None


async def test_another_way_in_does_not_confirm_a_session_that_has_ended(site: Quart, told: Told) -> None:
    """A copied session whose login has ended, sent with somebody else's API key."""
    browser, _ = await sign_in_ada(site)
    told.said.clear()
    current_manager_of(site).user_loader(nobody)
    current_manager_of(site).request_loader(grace)

    await browser.post("/confirm")

    assert told.said == []


async def grace(request: Any) -> User:
    return GRACE
