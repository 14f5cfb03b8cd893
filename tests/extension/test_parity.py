"""Parity with the real Flask-Login: names, signatures, defaults, cookies, and the effects of a login."""

import inspect
import runpy
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from http.cookies import SimpleCookie
from inspect import isawaitable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import flask_login
import pytest
import quart
from flask_login import config as their_config
from flask_login.utils import expand_login_view as their_expand_login_view
from hypothesis import given
from hypothesis import strategies as st
from users import ADA, BY_ID, DISMISSED, User

import quartlogin
from quartlogin import tokens
from quartlogin.redirects import expand_login_view

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-Login's own

KEY = "a key for tests, and for nothing else"
TABLE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_parity_table.py"))

#: What Flask-Login promises and is not here, and why.
NOT_HERE = {
    "AUTH_HEADER_NAME": "removed on Flask-Login's main branch, with header_loader",
    "FlaskLoginClient": "QuartLoginClient",
}
#: The same of its LoginManager.
NOT_ON_THE_MANAGER = {
    "header_loader": "removed on Flask-Login's main branch: request_loader",
    "setup_app": "removed on Flask-Login's main branch: init_app",
}
#: What takes more here than there: each may be called as in Flask-Login.
TAKES_MORE = {"fresh_login_required", "LoginManager"}
AWAITED = {"confirm_login", "login_user", "logout_user"}
#: Constants with another value.
OTHER_VALUE = {
    "COOKIE_SAMESITE": "Lax",
    "SESSION_KEYS": their_config.SESSION_KEYS | {"_login_id", "_fresh_at", "_secret_hash"},
}

CONSTANTS = sorted(name for name in vars(their_config) if name.isupper())
CALLABLES = sorted(
    name
    for name in flask_login.__all__
    if name not in NOT_HERE and (inspect.isfunction(getattr(flask_login, name)) or name == "LoginManager")
)
METHODS = sorted(
    name
    for name, value in vars(flask_login.LoginManager).items()
    if inspect.isfunction(value) and not name.startswith("_") and name not in NOT_ON_THE_MANAGER
)
ATTRIBUTES = sorted(name for name in vars(flask_login.LoginManager()) if not name.startswith("_"))
SIGNALS = sorted(name for name in flask_login.__all__ if hasattr(getattr(flask_login, name), "send"))


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


# --- names ----------------------------------------------------------------------------------------------------


def test_every_public_name_of_flask_login_is_here() -> None:
    missing = {name for name in flask_login.__all__ if not hasattr(quartlogin, name)}

    assert missing == set(NOT_HERE)


def test_all_of_them_are_promised() -> None:
    assert set(flask_login.__all__) - set(quartlogin.__all__) == {*NOT_HERE, "__version__"}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_function_takes_what_flask_logins_takes(name: str) -> None:
    theirs, ours = parameters(getattr(flask_login, name)), parameters(getattr(quartlogin, name))

    if name not in TAKES_MORE:
        assert ours == theirs
    assert [part[:2] for part in ours[: len(theirs)]] == [part[:2] for part in theirs]
    assert {kind for _, kind, _ in ours[len(theirs) :]} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", CALLABLES)
def test_what_is_awaited_is_known(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(quartlogin, name)) is (name in AWAITED)


@pytest.mark.parametrize("name", ["login_required", "fresh_login_required"])
def test_a_guard_keeps_the_name_of_the_view_and_makes_it_a_coroutine_function(name: str) -> None:
    def view() -> str:
        """Say something."""
        return ""

    guarded = getattr(quartlogin, name)(view)

    assert (guarded.__name__, guarded.__doc__) == ("view", "Say something.")
    assert inspect.iscoroutinefunction(guarded)


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_has_flask_logins_value(name: str) -> None:
    if name in NOT_HERE:
        assert not hasattr(quartlogin, name)
    else:
        assert getattr(quartlogin, name) == OTHER_VALUE.get(name, getattr(their_config, name))


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_has_flask_logins_name(name: str) -> None:
    assert getattr(quartlogin, name).name == getattr(flask_login, name).name


def test_the_two_do_not_hear_each_others_signals() -> None:
    shared = [name for name in SIGNALS if getattr(quartlogin, name) is getattr(flask_login, name)]

    assert shared == []


def test_the_session_keys_are_a_superset() -> None:
    assert quartlogin.SESSION_KEYS > their_config.SESSION_KEYS


# --- LoginManager ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_of_the_manager_has_flask_logins_default(name: str) -> None:
    theirs = getattr(flask_login.LoginManager(), name)
    ours: Any = getattr(quartlogin.LoginManager[User](), name)

    assert getattr(ours, "__name__", ours) == getattr(theirs, "__name__", theirs)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_the_manager_takes_what_flask_logins_takes(name: str) -> None:
    theirs, ours = getattr(flask_login.LoginManager, name), getattr(quartlogin.LoginManager, name)

    added = inspect.Parameter.KEYWORD_ONLY
    assert [parameter for parameter in parameters(ours) if parameter[1] is not added] == parameters(theirs)
    assert inspect.iscoroutinefunction(ours) is (name in {"unauthorized", "needs_refresh"})


@pytest.mark.parametrize("name", NOT_ON_THE_MANAGER)
def test_what_the_main_branch_has_removed_from_the_manager_is_not_here(name: str) -> None:
    assert not hasattr(quartlogin.LoginManager, name)


@pytest.mark.parametrize("name", ["user_loader", "request_loader", "unauthorized_handler", "needs_refresh_handler"])
def test_registering_gives_the_function_back_and_shows_it(name: str) -> None:
    def callback() -> None: ...

    shown_as = {"user_loader": "user_callback", "request_loader": "request_callback"}.get(
        name, name.replace("handler", "callback")
    )
    managers: list[Any] = [flask_login.LoginManager(), quartlogin.LoginManager[User]()]

    assert [getattr(manager, name)(callback) for manager in managers] == [callback, callback]
    assert [getattr(manager, shown_as) for manager in managers] == [callback, callback]


@pytest.mark.parametrize("kind", ["UserMixin", "AnonymousUserMixin"])
def test_the_user_classes_have_the_same_members(kind: str) -> None:
    theirs, ours = getattr(flask_login, kind), getattr(quartlogin, kind)

    assert {n for n in dir(ours) if not n.startswith("_")} == {n for n in dir(theirs) if not n.startswith("_")}


# --- the page in docs/ ----------------------------------------------------------------------------------------


def test_every_difference_is_explained() -> None:
    assert TABLE["unexplained"]() == []


def test_every_explanation_has_its_difference() -> None:
    different = {f"{row.section}: {row.name}" for row in TABLE["rows"]() if not row.is_same}

    assert TABLE["DIFFERENCES"].keys() == different


def test_the_page_says_what_is_found() -> None:
    assert TABLE["PAGE"].read_text(encoding="utf-8") == TABLE["page"](), "Run docs/make_parity_table.py."


def test_the_page_names_every_public_name_of_both() -> None:
    page = TABLE["PAGE"].read_text(encoding="utf-8")

    assert [name for name in {*flask_login.__all__, *quartlogin.__all__} if f"`{name}`" not in page] == []


# --- cookies --------------------------------------------------------------------------------------------------

IDS = ["1", "ada", "Zoë", "日本", "🐍", "a|b", "|", "", " x ", "1|" + "0" * 128]


def their_app() -> flask.Flask:
    app = flask.Flask("site", template_folder=None, static_folder=None)
    app.secret_key = KEY
    return app


def our_app() -> quart.Quart:
    app = quart.Quart("site", template_folder=None, static_folder=None)
    app.secret_key = KEY
    return app


@pytest.mark.parametrize("payload", IDS)
@pytest.mark.parametrize("key", [None, "another key", b"a key of bytes \xff", "clé"])
async def test_a_cookie_is_the_same_in_both(payload: str, key: Any) -> None:
    with their_app().app_context():
        theirs = flask_login.encode_cookie(payload, key)
    async with our_app().app_context():
        assert quartlogin.encode_cookie(payload, key) == theirs
        assert quartlogin.decode_cookie(theirs, key) == payload


@pytest.mark.parametrize("payload", IDS)
async def test_flask_login_reads_our_cookie(payload: str) -> None:
    async with our_app().app_context():
        ours = quartlogin.encode_cookie(payload)
    with their_app().app_context():
        assert flask_login.decode_cookie(ours) == payload


@pytest.mark.slow
@given(payload=st.text(st.characters(codec="utf-8")), key=st.text(st.characters(codec="latin-1"), min_size=1))
def test_any_text_and_any_key_make_the_same_cookie(payload: str, key: str) -> None:
    cookie = flask_login.encode_cookie(payload, key)

    assert quartlogin.encode_cookie(payload, key) == cookie
    assert quartlogin.decode_cookie(cookie, key) == flask_login.decode_cookie(cookie, key) == payload


@pytest.mark.parametrize("cookie", ["", "1", "1|", "|", "1|0", "1|" + "0" * 128])
async def test_an_unsigned_cookie_is_none_in_both(cookie: str) -> None:
    with their_app().app_context():
        assert flask_login.decode_cookie(cookie) is None
    async with our_app().app_context():
        assert quartlogin.decode_cookie(cookie) is None


async def test_a_signature_that_is_no_ascii_is_none_where_flask_login_raises() -> None:
    with their_app().app_context(), pytest.raises(TypeError):
        flask_login.decode_cookie("1|ü")
    async with our_app().app_context():
        assert quartlogin.decode_cookie("1|ü") is None


def test_a_key_that_flask_login_cannot_encode_cannot_be_guessed() -> None:
    with pytest.raises(UnicodeEncodeError):
        flask_login.encode_cookie("1", "ключ")

    forged = quartlogin.encode_cookie("1", "????")

    assert quartlogin.decode_cookie(forged, "ключ") is None


# --- URLs -----------------------------------------------------------------------------------------------------

URLS = [
    "",
    "/",
    "/login",
    "/login?a=1&b=",
    "/login?next=%2Fold",
    "/login#part",
    "http://localhost/login",
    "https://localhost/login",
    "http://other.example/login?lang=fr",
    "//other.example/login",
]
HERE = ["/account", "http://localhost/account?tab=2", "http://localhost/a%20b?x=%26", "https://localhost/", "/?a=b#c"]


def test_the_next_param_is_the_same() -> None:
    pairs = list(product(URLS, HERE))
    theirs = [flask_login.make_next_param(*pair) for pair in pairs]

    assert [quartlogin.make_next_param(*pair) for pair in pairs] == theirs


@pytest.mark.parametrize("host", [None, "login.example"])
async def test_the_login_url_is_the_same(host: str | None) -> None:
    views = [*URLS[1:-1], "login"]
    pairs = list(product(views, [None, *HERE]))
    them, us = their_app(), our_app()
    for app in (them, us):
        app.config["FORCE_HOST_FOR_REDIRECTS"] = host
        app.add_url_rule("/sign-in", "login", lambda: "")
    with them.test_request_context("/"):
        urls = [flask_login.login_url(*pair, "to") for pair in pairs] + [*map(their_expand_login_view, views)]
    async with us.test_request_context("/"):
        assert [quartlogin.login_url(*pair, "to") for pair in pairs] + [*map(expand_login_view, views)] == urls


@pytest.mark.parametrize(
    "calls", [["first"], ["first", "blueprint"], ["blueprint"], ["blueprint", "other"], ["first", "blueprint", "other"]]
)
async def test_login_views_are_set_alike(calls: list[str]) -> None:
    them, us = their_app(), our_app()
    theirs, ours = flask_login.LoginManager(them), quartlogin.LoginManager[User](us)
    their_blueprints = {"blueprint": flask.Blueprint("shop", "shop"), "other": flask.Blueprint("blog", "blog")}
    our_blueprints = {"blueprint": quart.Blueprint("shop", "shop"), "other": quart.Blueprint("blog", "blog")}

    with them.app_context():
        for call in calls:
            flask_login.set_login_view(call, their_blueprints.get(call))
    async with us.app_context():
        for call in calls:
            quartlogin.set_login_view(call, our_blueprints.get(call))

    # Flask-Login moves the app's login view into the dictionary, so that blueprints without one are answered 401.
    their_views = {None: theirs.login_view, **theirs.blueprint_login_views}
    assert {None: ours.login_view, **ours.blueprint_login_views} == their_views


# --- what a login does, step by step in both ------------------------------------------------------------------

Doing = Callable[[ModuleType], Any]


def name_of(lib: ModuleType) -> Any:
    if lib is flask_login:
        return getattr(flask_login.current_user, "name", None)

    async def ask() -> Any:
        return getattr(await quartlogin.current_user, "name", None)

    return ask()


def confirm(lib: ModuleType) -> Any:
    if lib is flask_login:
        name_of(lib)  # quartlogin asks who it is before it confirms anything
    return lib.confirm_login()


DOINGS: dict[str, Doing] = {
    "look": name_of,
    "login": lambda lib: lib.login_user(ADA),
    "stale": lambda lib: lib.login_user(ADA, fresh=False),
    "remember": lambda lib: lib.login_user(ADA, remember=True),
    "dismissed": lambda lib: lib.login_user(DISMISSED),
    "forced": lambda lib: lib.login_user(DISMISSED, force=True),
    "logout": lambda lib: lib.logout_user(),
    "confirm": confirm,
    "fresh": lambda lib: lib.login_fresh(),
    "remembered": lambda lib: lib.login_remembered(),
}


class Both:
    """The same app twice, and a browser for each: what differs between their answers, the test sees."""

    def __init__(self, **config: Any) -> None:
        self.heard: dict[str, list[str]] = {"theirs": [], "ours": []}
        self.them, self.us = their_app(), our_app()
        for app in (self.them, self.us):
            app.config.update(config)
        self._managers: tuple[Any, Any] = (flask_login.LoginManager(self.them), quartlogin.LoginManager[User](self.us))
        for manager in self._managers:
            manager.user_loader(BY_ID.get)
        self._add_views()
        self.their_browser = self.them.test_client()
        self.our_browser = self.us.test_client()

    def configure(self, **attributes: Any) -> None:
        for manager in self._managers:
            vars(manager).update(attributes)

    def _add_views(self) -> None:
        for name, doing in DOINGS.items():
            self.them.add_url_rule(f"/{name}", name, self._their_view(doing), methods=["GET", "OPTIONS"])
            self.us.add_url_rule(f"/{name}", name, self._our_view(doing), methods=["GET", "OPTIONS"])
        self.them.add_url_rule("/guarded", "guarded", flask_login.login_required(lambda: "in"))
        self.us.add_url_rule("/guarded", "guarded", quartlogin.login_required(lambda: "in"))
        self.them.add_url_rule("/strict", "strict", flask_login.fresh_login_required(lambda: "in"))
        self.us.add_url_rule("/strict", "strict", quartlogin.fresh_login_required(lambda: "in"))

    @staticmethod
    def _their_view(doing: Doing) -> Callable[[], Any]:
        return lambda: {"value": doing(flask_login)}

    @staticmethod
    def _our_view(doing: Doing) -> Callable[[], Awaitable[Any]]:
        async def view() -> Any:
            value = doing(quartlogin)
            return {"value": await value if isawaitable(value) else value}

        return view

    async def do(self, *steps: str) -> None:
        """Take each step in both apps, and hold the two answers and the two sessions against each other."""
        for step in steps:
            theirs = self._their_answer(step)
            ours = await self._our_answer(step)
            assert ours == theirs, step

    def _their_answer(self, step: str) -> dict[str, Any]:
        with self._listening(flask_login, self.them, "theirs"):
            answer = self.their_browser.get(f"/{step}")
        with self.their_browser.session_transaction() as session:
            contents = dict(session)
        cookies = answer.headers.getlist("Set-Cookie")
        return self._seen(answer.status_code, answer.json if answer.is_json else answer.text, answer, contents, cookies)

    async def _our_answer(self, step: str) -> dict[str, Any]:
        with self._listening(quartlogin, self.us, "ours"):
            answer = await self.our_browser.get(f"/{step}")
        body = await (answer.get_json() if answer.is_json else answer.get_data(as_text=True))
        async with self.our_browser.session_transaction() as session:
            contents = dict(session)
        cookies = answer.headers.getlist("Set-Cookie")
        return self._seen(answer.status_code, body, answer, contents, cookies)

    def _seen(
        self, status: int, body: Any, answer: Any, contents: dict[str, Any], cookies: list[str]
    ) -> dict[str, Any]:
        signals = {who: sorted(heard) for who, heard in self.heard.items()}
        self.heard["theirs"].clear()
        self.heard["ours"].clear()
        return {
            "status": status,
            "body": body if status == 200 else None,
            "location": answer.headers.get("Location"),
            "session": {
                key: "..." if key == "_id" else contents[key]
                for key in contents.keys() - {"_login_id", "_fresh_at", "_secret_hash"}
            },
            "remember cookie": [what_happens(cookie) for cookie in cookies if cookie.startswith("remember_token")],
            "signals": next((heard for heard in signals.values() if heard), []),
        }

    def _listening(self, lib: ModuleType, app: Any, who: str) -> Any:
        stack = ExitStack()
        for name in SIGNALS:

            def hear(_sender: Any, name: str = name, **_values: Any) -> None:
                self.heard[who].append(name)

            stack.enter_context(getattr(lib, name).connected_to(hear, sender=app))
        return stack


def what_happens(cookie: str) -> dict[str, Any]:
    (morsel,) = SimpleCookie(cookie).values()
    attributes = {name: morsel[name] for name in ("path", "domain")}
    return {"set": True, "httponly": morsel["httponly"], **attributes} if morsel.value else {"set": False, **attributes}


@pytest.mark.parametrize(
    "steps",
    [
        ["look"],
        ["login", "look", "fresh", "guarded", "strict", "logout", "look"],
        ["stale", "look", "fresh", "guarded", "strict", "confirm", "fresh", "strict"],
        ["remember", "look", "remembered", "guarded", "logout", "remembered", "look"],
        ["dismissed", "look"],
        ["forced", "look", "guarded"],
        ["login", "dismissed", "look"],
        ["logout"],
        ["remembered", "fresh"],
        ["guarded"],
        ["strict"],
        ["login", "login", "logout", "logout"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("protection", ["basic", "strong", None])
async def test_a_story_has_the_same_answers_session_cookies_and_signals(
    steps: list[str], protection: str | None
) -> None:
    both = Both(SESSION_PROTECTION=protection)

    await both.do(*steps)


@pytest.mark.parametrize("view", ["login", "/sign-in?lang=fr", "http://localhost/in", "https://other.example/in"])
@pytest.mark.parametrize("in_session", [True, False], ids=["next in the session", "next in the URL"])
async def test_a_visitor_is_sent_to_the_same_page(view: str, in_session: bool) -> None:
    both = Both(USE_SESSION_FOR_NEXT=in_session)
    both.configure(login_view=view, refresh_view=view, localize_callback=str.upper)

    await both.do("guarded", "stale", "strict")


@pytest.mark.parametrize("handler", ["unauthorized_callback", "needs_refresh_callback"])
async def test_a_handler_answers_in_both(handler: str) -> None:
    both = Both()
    both.configure(**{handler: lambda: ("go away", 418)})

    await both.do("stale", "strict", "logout", "guarded", "strict")


@pytest.mark.parametrize(
    "config",
    [
        {"REMEMBER_COOKIE_PATH": "/in"},
        {"REMEMBER_COOKIE_DOMAIN": "localhost.example"},
        {"REMEMBER_COOKIE_HTTPONLY": False},
        {"REMEMBER_COOKIE_DURATION": 60},
    ],
    ids=str,
)
async def test_the_remember_cookie_is_set_as_configured(config: dict[str, Any]) -> None:
    await Both(**config).do("remember")


def without_a_session(both: Both) -> None:
    both.their_browser.delete_cookie("session")
    both.our_browser.delete_cookie("localhost", "session")


async def test_a_login_is_restored_from_the_remember_cookie_in_both() -> None:
    both = Both()
    await both.do("remember")
    without_a_session(both)
    theirs = both.their_browser.get("/look")
    ours = await both.our_browser.get("/look")

    assert await ours.get_json() == theirs.json == {"value": "Ada"}


# --- where it is otherwise here, on purpose -------------------------------------------------------------------


async def test_a_restored_session_knows_its_browser_only_here() -> None:
    """Flask-Login writes no `_id` then, so that its strong mode ends the login with the next request."""
    both = Both(SESSION_PROTECTION="strong")
    await both.do("remember")
    without_a_session(both)
    theirs = [both.their_browser.get("/look").json for _ in range(2)]
    ours = [await (await both.our_browser.get("/look")).get_json() for _ in range(2)]

    assert theirs == [{"value": "Ada"}, {"value": None}]
    assert ours == [{"value": "Ada"}, {"value": "Ada"}]


async def test_a_login_that_is_not_remembered_drops_the_cookie_of_the_one_before_only_here() -> None:
    both = Both()
    await both.do("remember")
    both.their_browser.get("/login")
    await both.our_browser.get("/login")

    assert both.their_browser.get_cookie("remember_token") is not None
    assert "remember_token" not in {cookie.name for cookie in both.our_browser.cookie_jar or ()}


async def test_every_request_refreshes_only_what_is_remembered_only_here() -> None:
    both = Both(REMEMBER_COOKIE_REFRESH_EACH_REQUEST=True)
    theirs = both.their_browser.get("/login")
    ours = await both.our_browser.get("/login")

    assert [cookie.split("=")[0] for cookie in theirs.headers.getlist("Set-Cookie")] == ["remember_token", "session"]
    assert [cookie.split("=")[0] for cookie in ours.headers.getlist("Set-Cookie")] == ["session"]


@pytest.mark.parametrize(("left_by", "is_kept_here"), [(None, True), ("1", True), ("2", False)])
async def test_what_another_user_left_in_the_session_is_dropped_at_a_login_only_here(
    left_by: str | None, is_kept_here: bool
) -> None:
    both = Both()
    contents = {"cart": ["book"], **({} if left_by is None else {"_user_id": left_by})}
    with both.their_browser.session_transaction() as session:
        session.update(contents)
    async with both.our_browser.session_transaction() as session:
        session.update(contents)
    both.their_browser.get("/login")
    await both.our_browser.get("/login")

    with both.their_browser.session_transaction() as session:
        assert "cart" in session
    async with both.our_browser.session_transaction() as session:
        assert ("cart" in session) is is_kept_here


async def test_an_anonymous_visitor_confirms_nothing_only_here() -> None:
    both = Both()
    both.their_browser.get("/confirm")
    await both.our_browser.get("/confirm")

    with both.their_browser.session_transaction() as session:
        assert session["_fresh"] is True
    async with both.our_browser.session_transaction() as session:
        assert "_fresh" not in session


async def test_an_expired_remember_cookie_is_deleted_only_here() -> None:
    both = Both()
    async with both.us.app_context():
        expired = tokens.dump("remember", tokens.Token("1", "a login", 1))
    headers = {"Cookie": f"remember_token={expired}"}
    theirs = both.them.test_client(use_cookies=False).get("/look", headers=headers)
    ours = await both.us.test_client(use_cookies=False).get("/look", headers=headers)

    assert theirs.headers.getlist("Set-Cookie") == []
    cookies = [cookie for cookie in ours.headers.getlist("Set-Cookie") if cookie.startswith("remember_token=")]
    assert [what_happens(cookie)["set"] for cookie in cookies] == [False]


async def test_the_request_loader_is_asked_after_a_broken_remember_cookie_only_here() -> None:
    both = Both()
    for manager in (both.them.login_manager, both.us.login_manager):  # type: ignore[attr-defined]
        manager.request_loader(lambda _: ADA)
    headers = {"Cookie": "remember_token=broken"}
    theirs = both.them.test_client(use_cookies=False).get("/look", headers=headers)
    ours = await both.us.test_client(use_cookies=False).get("/look", headers=headers)

    assert (theirs.json, await ours.get_json()) == ({"value": None}, {"value": "Ada"})


async def test_a_client_that_asks_for_json_is_not_redirected_only_here() -> None:
    both = Both()
    both.configure(login_view="/sign-in")
    headers = {"Accept": "application/json"}
    theirs = both.their_browser.get("/guarded", headers=headers)
    ours = await both.our_browser.get("/guarded", headers=headers)

    assert (theirs.status_code, ours.status_code) == (302, 401)
    assert ours.content_type == "application/problem+json"


async def test_a_mode_of_session_protection_that_there_is_not_is_an_error_only_here() -> None:
    both = Both(SESSION_PROTECTION="stron")
    both.us.config["PROPAGATE_EXCEPTIONS"] = False

    assert both.their_browser.get("/look").status_code == 200
    with pytest.raises(quartlogin.ConfigurationError):
        async with both.us.test_request_context("/"):
            await quartlogin.current_user


async def test_a_duration_of_the_wrong_type_is_an_error_in_both_with_a_type_only_here() -> None:
    both = Both()
    with both.them.test_request_context("/"), pytest.raises(Exception, match="duration must be"):
        flask_login.login_user(ADA, remember=True, duration=60)
    async with both.us.test_request_context("/"):
        with pytest.raises(TypeError, match="duration must be"):
            await quartlogin.login_user(ADA, remember=True, duration=60)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["REMEMBER_COOKIE_HTTP_ONLY", "REMEMBER_COOKIE_DURATIONS"])
def test_a_typo_in_a_remember_setting_stops_the_start_only_here(name: str) -> None:
    them, us = their_app(), our_app()
    them.config[name] = us.config[name] = 1
    flask_login.LoginManager(them)

    with pytest.raises(quartlogin.ConfigurationError, match=name):
        quartlogin.LoginManager[User](us)
