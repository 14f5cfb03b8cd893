"""Bearer tokens: how an API client acts as a user, apart from cookies."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, session
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface
from quart.testing import QuartClient
from users import ADA, BY_ID, GRACE, SignIn, User

from quartlogin import (
    Login,
    LoginManager,
    LoginRefused,
    NoRecords,
    confirm_login,
    create_bearer_token,
    credentials_refused,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_remembered,
    login_required,
    login_user,
    logout_user,
)

HOUR = timedelta(hours=1)
INVALID = 'Bearer error="invalid_token"'


class Touched(SecureCookieSession):
    """A session that says so when anything looks into it or changes it."""

    log: list[str]

    def __getitem__(self, key: str) -> Any:
        self.log.append(f"read {key}")
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.log.append(f"read {key}")
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.log.append(f"read {key}")
        return super().__contains__(key)

    def keys(self) -> Any:
        self.log.append("read everything")
        return super().keys()

    def __setitem__(self, key: str, value: Any) -> None:
        self.log.append(f"wrote {key}")
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self.log.append(f"deleted {key}")
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.log.append("wrote something")
        super().update(*args, **kwargs)

    def pop(self, key: str, *default: Any) -> Any:
        self.log.append(f"popped {key}")
        return super().pop(key, *default)


class TouchedInterface(SecureCookieSessionInterface):
    """Keeps such sessions, and forgets what Quart itself does to them between view and answer."""

    session_class = Touched

    def __init__(self) -> None:
        self.log: list[str] = []

    async def open_session(self, app: Quart, request: Any) -> Any:
        opened = await super().open_session(app, request)
        opened.log = self.log
        return opened

    async def save_session(self, app: Quart, session: Any, response: Any) -> None:
        session.log = []
        await super().save_session(app, session, response)


@pytest.fixture
def app(app: Quart, login_manager: LoginManager[User]) -> Quart:
    """An app with a view for each thing that a login can do."""
    login_manager.session_protection = None

    @app.get("/")
    async def home() -> dict[str, Any]:
        user = await current_user
        return {
            "name": getattr(user, "name", "nobody"),
            "login": login_id(),
            "fresh": login_fresh(),
        }

    @app.route("/account", methods=["GET", "POST"])
    @login_required
    async def account() -> str:
        return f"account of {current_user.name}"

    @app.get("/password")
    @fresh_login_required
    async def password() -> str:
        return "changed"

    @app.post("/login/<user_id>")
    async def login(user_id: str) -> str:
        return str(await login_user(BY_ID[user_id], remember=True))

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return (await current_user).__class__.__name__

    @app.post("/confirm")
    async def confirm() -> str:
        await confirm_login()
        return ""

    return app


class Notes(NoRecords):
    """What an app's record of its logins was told."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.began: list[Login] = []
        self.ended: list[str] = []

    async def login_began(self, login: Login) -> None:
        if self.refuses:
            raise LoginRefused("Not now.")
        self.began.append(login)

    async def login_ended(self, login_id: str) -> None:
        self.ended.append(login_id)


@pytest.fixture
def notes(login_manager: LoginManager[User]) -> Notes:
    notes = Notes()
    login_manager.records = notes
    return notes


async def token_of(app: Quart, user: Any = ADA, duration: timedelta = HOUR) -> str:
    async with app.app_context():
        return await create_bearer_token(user, duration=duration)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def graces_browser(app: Quart) -> QuartClient:
    """A browser that is signed in as Grace, and remembered."""
    client = app.test_client()
    await client.post("/login/2")
    return client


async def who(client: QuartClient, **headers: str) -> str:
    page: dict[str, str] = await (await client.get("/", headers=headers)).get_json()
    return page["name"]


# --- a good token ---------------------------------------------------------------------------------------------


async def test_a_token_names_its_user_through_the_same_loader(app: Quart, loads: list[str]) -> None:
    token = await token_of(app)

    response = await app.test_client().get("/account", headers=bearer(token))

    assert await response.get_data(as_text=True) == "account of Ada"
    assert loads == ["1"]


async def test_a_token_can_be_made_outside_a_request(app: Quart) -> None:
    async with app.app_context():
        token = await create_bearer_token(GRACE, duration=HOUR)

    assert await who(app.test_client(), **bearer(token)) == "Grace"


async def test_a_view_can_make_a_token_for_current_user(app: Quart, sign_in: SignIn) -> None:
    @app.post("/tokens")
    @login_required
    async def make() -> str:
        return await create_bearer_token(current_user, duration=HOUR)

    response = await (await sign_in(app)).post("/tokens")
    token = await response.get_data(as_text=True)

    assert await who(app.test_client(), **bearer(token)) == "Ada"


async def test_creating_a_token_does_not_sign_in(app: Quart) -> None:
    @app.post("/tokens")
    async def make() -> str:
        await create_bearer_token(ADA, duration=HOUR)
        return f"{login_id()} {(await current_user).is_anonymous}"

    response = await app.test_client().post("/tokens")

    assert await response.get_data(as_text=True) == "None True"
    assert "Set-Cookie" not in response.headers


async def test_a_token_has_a_login_id_of_its_own(app: Quart, notes: Notes) -> None:
    first, second = await token_of(app), await token_of(app)

    pages = [await (await app.test_client().get("/", headers=bearer(token))).get_json() for token in (first, second)]

    assert [page["login"] for page in pages] == [login.id for login in notes.began]
    assert notes.began[0].id != notes.began[1].id
    assert len(notes.began[0].id) == 32


async def test_the_loader_finds_the_tokens_login_id(app: Quart, login_manager: LoginManager[User]) -> None:
    seen: list[str | None] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        seen.append(login_id())
        return BY_ID.get(user_id)

    token, browser = await token_of(app), await graces_browser(app)
    page = await (await browser.get("/", headers=bearer(token))).get_json()

    assert seen == [page["login"]]
    assert page["name"] == "Ada"


async def test_the_record_receives_what_the_token_is(app: Quart, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.5)

    await token_of(app)

    (login,) = notes.began
    assert (login.user_id, login.kind, login.secret, login.expires_at) == ("1", "bearer", None, 1_800_003_600)


async def test_a_record_may_refuse_a_token(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.records = Notes(refuses=True)

    with pytest.raises(LoginRefused):
        await token_of(app)


async def test_a_user_without_an_id_gets_no_token(app: Quart, notes: Notes, login_manager: LoginManager[User]) -> None:
    with pytest.raises(ValueError, match="None"):
        await token_of(app, login_manager.anonymous_user())

    assert notes.began == []


async def test_a_token_is_never_fresh(app: Quart, login_manager: LoginManager[User]) -> None:
    token = await token_of(app)

    page = await (await app.test_client().get("/", headers=bearer(token))).get_json()
    refused = await app.test_client().get("/password", headers=bearer(token))

    assert page["fresh"] is False
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication"'


async def test_the_answer_to_a_token_is_private(app: Quart) -> None:
    response = await app.test_client().get("/", headers=bearer(await token_of(app)))

    assert response.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_may_be_written_in_any_case(app: Quart, scheme: str) -> None:
    token = await token_of(app)

    assert await who(app.test_client(), Authorization=f"{scheme} {token}") == "Ada"


@pytest.mark.parametrize("header", ["Bearer  {}", "Bearer {} ", "Bearer   {}   "])
async def test_spaces_around_a_token_do_not_matter(app: Quart, header: str) -> None:
    token = await token_of(app)

    assert await who(app.test_client(), Authorization=header.format(token)) == "Ada"


# --- a token and cookies --------------------------------------------------------------------------------------


async def test_a_token_wins_over_cookies(app: Quart) -> None:
    browser, token = await graces_browser(app), await token_of(app)

    assert await who(browser, **bearer(token)) == "Ada"
    assert await who(browser) == "Grace"


@pytest.mark.requirement("3.5.2")
async def test_a_bad_token_beside_good_cookies_is_anonymous(app: Quart) -> None:
    browser = await graces_browser(app)

    assert await who(browser, **bearer("nonsense")) == "nobody"
    assert await who(browser) == "Grace"


@pytest.mark.parametrize("remembered", ["session", "remember_token"])
async def test_cookies_are_neither_set_nor_deleted_beside_a_token(app: Quart, remembered: str) -> None:
    browser, token = await graces_browser(app), await token_of(app)
    browser.delete_cookie("localhost", remembered)

    good = await browser.get("/account", headers=bearer(token))
    bad = await browser.get("/account", headers=bearer("nonsense"))

    assert (good.status_code, bad.status_code) == (200, 401)
    assert "Set-Cookie" not in good.headers
    assert "Set-Cookie" not in bad.headers


@pytest.mark.parametrize("path", ["/", "/account", "/password"])
@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
async def test_the_session_is_not_touched_beside_a_token(app: Quart, path: str, *, is_good: bool) -> None:
    app.session_interface = interface = TouchedInterface()
    browser = await graces_browser(app)
    headers = bearer(await token_of(app) if is_good else "nonsense")
    interface.log.clear()

    response = await browser.get(path, headers=headers)

    assert interface.log == []
    assert "Set-Cookie" not in response.headers


async def test_the_session_that_says_when_it_is_touched_does_say_so(app: Quart) -> None:
    app.session_interface = interface = TouchedInterface()
    browser = await graces_browser(app)
    interface.log.clear()

    await browser.get("/account")

    assert "read _user_id" in interface.log


@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
async def test_the_login_is_never_the_cookies_even_before_the_user_is_asked_for(app: Quart, *, is_good: bool) -> None:
    @app.get("/early")
    async def early() -> dict[str, Any]:
        return {"login": login_id(), "fresh": login_fresh()}

    browser = await graces_browser(app)
    headers = bearer(await token_of(app) if is_good else "nonsense")
    of_cookies = await (await browser.get("/early")).get_json()
    beside_token = await (await browser.get("/early", headers=headers)).get_json()

    assert of_cookies["fresh"] is True
    assert beside_token["fresh"] is False
    assert beside_token["login"] != of_cookies["login"]


async def test_views_may_use_the_session_beside_a_token(app: Quart) -> None:
    @app.get("/basket")
    @login_required
    async def basket() -> str:
        session["basket"] = "full"
        return current_user.name

    browser, token = await graces_browser(app), await token_of(app)
    await browser.get("/basket", headers=bearer(token))
    async with browser.session_transaction() as contents:
        kept = dict(contents)

    assert (kept["basket"], kept["_user_id"]) == ("full", "2")


@pytest.mark.parametrize(
    "header",
    ["Basic QWRhOnBhc3N3b3Jk", "Basic", "Digest username=Ada", "Negotiate abc", "", " ", "Bearertoken", "Token x"],
)
async def test_another_scheme_leaves_cookies_alone(app: Quart, header: str) -> None:
    browser = await graces_browser(app)

    assert await who(browser, Authorization=header) == "Grace"


async def test_confirming_with_a_token_does_not_renew_the_cookies_login(app: Quart, notes: Notes) -> None:
    browser, token = await graces_browser(app), await token_of(app)

    response = await browser.post("/confirm", headers=bearer(token))

    assert "Set-Cookie" not in response.headers


async def test_a_remember_cookie_beside_a_token_does_not_make_the_token_remembered(app: Quart) -> None:
    @app.get("/remembered")
    @login_required
    async def remembered() -> str:
        return str(login_remembered())

    browser, token = await graces_browser(app), await token_of(app)
    by_cookie = await (await browser.get("/remembered")).get_data(as_text=True)
    by_token = await (await browser.get("/remembered", headers=bearer(token))).get_data(as_text=True)

    assert (by_cookie, by_token) == ("True", "False")


# --- signing out ----------------------------------------------------------------------------------------------


async def test_a_logout_ends_the_tokens_login_and_leaves_cookies_alone(app: Quart, notes: Notes) -> None:
    browser, token = await graces_browser(app), await token_of(app)
    of_cookies, of_token = (login.id for login in notes.began)

    response = await browser.post("/logout", headers=bearer(token))

    assert await response.get_data(as_text=True) == "AnonymousUserMixin"
    assert notes.ended == [of_token]
    assert of_cookies not in notes.ended
    assert "Set-Cookie" not in response.headers
    assert await who(browser) == "Grace"


async def test_a_logout_with_a_bad_token_ends_nothing(app: Quart, notes: Notes) -> None:
    browser = await graces_browser(app)

    response = await browser.post("/logout", headers=bearer("nonsense"))

    assert response.status_code == 200
    assert notes.ended == []
    assert await who(browser) == "Grace"


async def test_an_app_that_keeps_logins_refuses_a_token_that_has_signed_out(
    app: Quart, notes: Notes, login_manager: LoginManager[User]
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        return None if login_id() in notes.ended else BY_ID.get(user_id)

    headers = bearer(await token_of(app))
    client = app.test_client()
    before = await client.get("/account", headers=headers)
    await client.post("/logout", headers=headers)
    after = await client.get("/account", headers=headers)

    assert (before.status_code, after.status_code) == (200, 401)
    assert after.headers["WWW-Authenticate"] == INVALID


@pytest.mark.parametrize("user_id", ["404", "3"], ids=["gone", "inactive"])
async def test_a_user_who_is_gone_or_inactive_is_turned_away(app: Quart, user_id: str) -> None:
    token = await token_of(app, User(user_id, "Nobody"))

    response = await app.test_client().get("/account", headers=bearer(token))

    assert response.status_code == 401


# --- time and keys --------------------------------------------------------------------------------------------


@pytest.mark.requirement("9.2.1")
@pytest.mark.parametrize(("later", "name"), [(0, "Ada"), (3599, "Ada"), (3600, "nobody"), (10**9, "nobody")])
async def test_a_token_expires(app: Quart, monkeypatch: pytest.MonkeyPatch, later: int, name: str) -> None:
    now = 1_800_000_000
    monkeypatch.setattr("time.time", lambda: float(now))
    token = await token_of(app)

    monkeypatch.setattr("time.time", lambda: float(now + later))

    assert await who(app.test_client(), **bearer(token)) == name


@pytest.mark.requirement("9.2.1")
async def test_a_token_from_the_future_is_refused(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    token = await token_of(app)

    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)

    assert await who(app.test_client(), **bearer(token)) == "nobody"


@pytest.mark.parametrize("duration", [timedelta(0), timedelta(seconds=-1), timedelta(days=-400)])
async def test_a_token_of_no_duration_is_invalid(app: Quart, duration: timedelta) -> None:
    token = await token_of(app, ADA, duration)

    assert await who(app.test_client(), **bearer(token)) == "nobody"


async def test_a_token_outlives_a_change_of_the_key_while_the_old_one_is_a_fallback(app: Quart) -> None:
    token, old_key = await token_of(app), app.secret_key

    app.secret_key = "the next key for tests, and for nothing else"
    without = await who(app.test_client(), **bearer(token))
    app.config["SECRET_KEY_FALLBACKS"] = ["an even older key", old_key]
    with_fallback = await who(app.test_client(), **bearer(token))

    assert (without, with_fallback) == ("nobody", "Ada")


async def test_a_new_token_is_signed_with_the_present_key_only(app: Quart) -> None:
    app.config["SECRET_KEY_FALLBACKS"] = ["the old key for tests, and for nothing else"]

    token = await token_of(app)
    app.config["SECRET_KEY_FALLBACKS"] = []

    assert await who(app.test_client(), **bearer(token)) == "Ada"


async def test_a_fallback_key_given_as_text_is_not_a_list_of_letters(app: Quart) -> None:
    present, app.secret_key = app.secret_key, "o"
    forged = await token_of(app)
    app.secret_key = present
    app.config["SECRET_KEY_FALLBACKS"] = "old key"

    response = await app.test_client().get("/", headers=bearer(forged))

    assert b"Ada" not in await response.get_data()


async def test_a_token_of_another_app_is_refused(app: Quart, make_app: Any) -> None:
    other = make_app("another site")
    LoginManager(other)

    token = await token_of(other)

    assert await who(app.test_client(), **bearer(token)) == "nobody"


@pytest.mark.requirement("9.2.2")
async def test_a_remember_cookie_is_no_bearer_token(app: Quart) -> None:
    browser = await graces_browser(app)
    (cookie,) = [cookie.value for cookie in browser.cookie_jar if cookie.name == "remember_token"]

    assert await who(app.test_client(), **bearer(cookie)) == "nobody"


@pytest.mark.requirement("9.2.2")
async def test_a_bearer_token_is_no_remember_cookie(app: Quart) -> None:
    client = app.test_client()
    client.set_cookie("localhost", "remember_token", await token_of(app))

    assert await who(client) == "nobody"


@pytest.mark.requirement("9.2.2")
async def test_a_session_cookie_is_no_bearer_token(app: Quart) -> None:
    browser = await graces_browser(app)
    (cookie,) = [cookie.value for cookie in browser.cookie_jar if cookie.name == "session"]

    assert await who(app.test_client(), **bearer(cookie)) == "nobody"


# --- hostile tokens -------------------------------------------------------------------------------------------


def jwt(header: dict[str, Any], signature: str = "") -> str:
    claims = {"sub": "1", "user_id": "1", "exp": 9_999_999_999}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


HOSTILE = {
    "JWT, alg none": jwt({"alg": "none", "typ": "JWT"}),
    "JWT, alg nOnE": jwt({"alg": "nOnE"}, "x"),
    "JWT, jku": jwt({"alg": "RS256", "jku": "https://evil.example/keys"}, "c2ln"),
    "JWT, jwk": jwt({"alg": "RS256", "jwk": {"kty": "oct", "k": "AA"}}, "c2ln"),
    "JWT, kid": jwt({"alg": "HS256", "kid": "../../dev/null"}, "c2ln"),
    "a number": "1",
    "a user's id": '["1","x",9999999999,null,null]',
    "dots": "...",
    "dots and nothing": ".",
    "two words": "a b",
    "comma": "a, Bearer b",
    "NUL": "a\x00b",
    "non-ASCII": "\xe9\xff",
    "not Latin": "\u0394\u20ac",
    "flask-login": "1|" + "0" * 128,
    "a lot of dots": "." * 100_000,
    "1 MB": "x" * 1_000_000,
    "deep JSON": "[" * 4000,
    "base64 bomb": ".eJw" + "A" * 4000 + ".a.b",
}


@pytest.mark.parametrize("token", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_token_is_anonymous_and_never_an_error(app: Quart, token: str) -> None:
    response = await app.test_client().get("/account", headers=bearer(token))

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == INVALID


@pytest.mark.requirement("7.2.1")
@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t[1:], lambda t: "x" + t, lambda t: t + "x"])
async def test_a_tampered_token_is_anonymous(app: Quart, change: Any) -> None:
    token = await token_of(app)

    assert await who(app.test_client(), **bearer(change(token))) == "nobody"


@pytest.mark.parametrize("header", ["Bearer ", "Bearer", "bearer", "Bearer   "])
async def test_an_empty_token_is_a_bad_token(app: Quart, header: str) -> None:
    """Servers strip the space at the end, so the two spellings are one."""
    browser = await graces_browser(app)

    response = await browser.get("/account", headers={"Authorization": header})

    assert (response.status_code, response.headers.get("WWW-Authenticate")) == (401, INVALID)


@pytest.mark.requirement("14.2.1")
async def test_a_token_in_the_query_or_in_a_form_is_none(app: Quart) -> None:
    token = await token_of(app)

    by_query = await app.test_client().get(f"/account?access_token={token}")
    by_form = await app.test_client().post("/account", form={"access_token": token})

    assert (by_query.status_code, by_form.status_code) == (401, 401)


async def test_a_loader_that_raises_is_an_error_of_that_request(app: Quart, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        raise ConnectionError("database down")

    response = await app.test_client().get("/account", headers=bearer(await token_of(app)))

    assert response.status_code == 500


async def test_a_refused_token_is_announced(app: Quart) -> None:
    heard: list[str] = []

    async def hear(_: Quart, kind: str) -> None:
        heard.append(kind)

    with credentials_refused.connected_to(hear, app):
        await who(app.test_client(), **bearer("nonsense"))

    assert heard == ["bearer"]
