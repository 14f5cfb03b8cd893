"""`login_user` and `logout_user`: what they write into the session and remove (session fixation)."""

import re
from typing import Any

import pytest
from quart import Quart, flash, get_flashed_messages, session, websocket
from users import ADA, DISMISSED, GRACE, Receive, SignIn, User, Visit

from quartlogin import (
    KEPT_AT_LOGIN,
    SESSION_KEYS,
    AnonymousUserMixin,
    LoginManager,
    RequestNeededError,
    UserMixin,
    current_user,
    login_id,
    login_required,
    login_user,
    logout_user,
)

WRITTEN = {"_user_id", "_login_id", "_fresh", "_fresh_at", "_id"}


def test_the_session_keys_are_flask_logins_and_three_of_our_own() -> None:
    assert {"_user_id", "_remember", "_remember_seconds", "_id", "_fresh", "next"} | {
        "_login_id",
        "_fresh_at",
        "_secret_hash",
    } == SESSION_KEYS


# --- signing in -----------------------------------------------------------------------------------------------


async def test_login_user_writes_the_users_id_into_the_session(visit: Visit) -> None:
    async with visit():
        signed_in = await login_user(ADA)

        assert signed_in is True
        assert session["_user_id"] == "1"
        assert session["_fresh"] is True
        assert session.keys() == WRITTEN


async def test_a_login_without_a_password_is_not_fresh(visit: Visit) -> None:
    async with visit():
        await login_user(ADA, fresh=False)

        assert session["_fresh"] is False


async def test_login_user_calls_no_loader(visit: Visit, loads: list[str]) -> None:
    async with visit("2"):
        await login_user(ADA)

    assert loads == []


async def test_a_signed_in_user_is_known_in_the_next_request(app: Quart, loads: list[str]) -> None:
    @app.post("/login")
    async def login() -> str:
        await login_user(ADA)
        return ""

    @app.get("/")
    @login_required
    async def home() -> str:
        return current_user.name

    client = app.test_client()
    await client.post("/login")
    response = await client.get("/")

    assert await response.get_data(as_text=True) == "Ada"
    assert loads == ["1"]


async def test_an_id_that_is_not_text_is_written_as_text(visit: Visit) -> None:
    class Numbered(UserMixin):
        id = 7

        def get_id(self) -> Any:
            return self.id

    async with visit():
        await login_user(Numbered())

        assert session["_user_id"] == "7"


async def test_the_method_that_gives_the_id_can_have_another_name(
    visit: Visit, login_manager: LoginManager[User]
) -> None:
    class Token(UserMixin):
        def get_token(self) -> str:
            return "token of Ada"

    login_manager.id_attribute = "get_token"

    async with visit():
        await login_user(Token())

        assert session["_user_id"] == "token of Ada"


@pytest.mark.requirement("7.2.4", "V29")
async def test_session_fixation_the_previous_session_is_dropped_at_login(app: Quart, sign_in: SignIn) -> None:
    """Somebody else may have planted it (session fixation)."""

    @app.get("/")
    async def home() -> dict[str, Any]:
        await login_user(ADA)
        return dict(session)

    client = await sign_in(app, "2", cart=["planted"], _login_id="planted", _fresh=True, _id="x", csrf_token="y")
    contents = await (await client.get("/")).get_json()

    assert contents.keys() == WRITTEN
    assert contents["_user_id"] == "1"
    assert contents["_login_id"] != "planted"


async def test_flashed_messages_and_the_cookies_lifetime_are_carried_over(visit: Visit) -> None:
    async with visit():
        await flash("Welcome back.")
        session.permanent = True
        await login_user(ADA)

        assert session.permanent
        assert get_flashed_messages() == ["Welcome back."]


def test_nothing_else_is_carried_over() -> None:
    assert frozenset({"_flashes", "_permanent", "next"}) == KEPT_AT_LOGIN


async def test_an_inactive_user_is_not_signed_in_and_nothing_changes(visit: Visit) -> None:
    async with visit("1"):
        session["cart"] = ["book"]
        signed_in = await login_user(DISMISSED)

        assert signed_in is False
        assert dict(session) == {"_user_id": "1", "cart": ["book"]}
        assert await current_user is ADA


async def test_an_inactive_user_can_be_signed_in_by_force(visit: Visit) -> None:
    async with visit():
        signed_in = await login_user(DISMISSED, force=True)

        assert signed_in is True
        assert session["_user_id"] == "3"
        assert await current_user is DISMISSED


async def test_a_user_whose_id_is_none_cannot_be_signed_in(visit: Visit) -> None:
    class Nameless(UserMixin):
        def get_id(self) -> Any:
            return None

    async with visit("1"):
        with pytest.raises(ValueError, match=r"Nameless.get_id\(\)"):
            await login_user(Nameless())

        assert dict(session) == {"_user_id": "1"}


async def test_a_user_without_an_id_cannot_be_signed_in(visit: Visit) -> None:
    class Nameless(UserMixin):
        pass

    async with visit("1"):
        with pytest.raises(NotImplementedError, match="get_id"):
            await login_user(Nameless())

        assert dict(session) == {"_user_id": "1"}


async def test_the_anonymous_user_cannot_be_signed_in(visit: Visit) -> None:
    async with visit():
        assert await login_user(AnonymousUserMixin()) is False
        with pytest.raises(ValueError, match="AnonymousUserMixin"):
            await login_user(AnonymousUserMixin(), force=True)

        assert dict(session) == {}


async def test_the_second_of_two_logins_in_one_request_counts(visit: Visit) -> None:
    async with visit():
        await login_user(ADA)
        await login_user(GRACE)

        assert session["_user_id"] == "2"
        assert await current_user is GRACE


@pytest.mark.parametrize("option", [{"force": True}, {"fresh": False}])
async def test_the_options_of_login_user_are_named(visit: Visit, option: dict[str, bool]) -> None:
    async with visit():
        assert await login_user(ADA, **option) is True


# --- the login id ---------------------------------------------------------------------------------------------


async def test_a_login_has_an_id_of_its_own(visit: Visit) -> None:
    async with visit():
        await login_user(ADA)

        assert login_id() == session["_login_id"]
        assert re.fullmatch(r"[\w-]{32}", session["_login_id"], re.ASCII)


async def test_login_ids_are_never_the_same(visit: Visit) -> None:
    ids = set()

    async with visit():
        for _ in range(500):
            await login_user(ADA)
            ids.add(login_id())

    assert len(ids) == 500


async def test_session_fixation_signing_in_again_gives_a_new_login_id(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    async def home() -> dict[str, Any]:
        before = login_id()
        await login_user(ADA)
        return {"before": before, "after": login_id()}

    ids = await (await (await sign_in(app, _login_id="the old one")).get("/")).get_json()

    assert ids["before"] == "the old one"
    assert ids["after"] != "the old one"


async def test_an_anonymous_visitor_has_no_login_id(visit: Visit) -> None:
    async with visit():
        assert login_id() is None


@pytest.mark.parametrize("value", [1, True, 1.5, ["x"], {"x": 1}, None], ids=repr)
async def test_a_login_id_that_is_not_text_is_none(visit: Visit, value: object) -> None:
    async with visit("1"):
        session["_login_id"] = value

        assert login_id() is None


async def test_the_loader_can_read_the_login_id(app: Quart, sign_in: SignIn, login_manager: LoginManager[User]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return User(user_id, f"login {login_id()}")

    @app.get("/")
    async def home() -> str:
        return (await current_user).name

    response = await (await sign_in(app, _login_id="abc")).get("/")

    assert await response.get_data(as_text=True) == "login abc"


# --- signing out ----------------------------------------------------------------------------------------------


async def test_logout_user_takes_the_login_out_of_the_session(visit: Visit) -> None:
    async with visit():
        await login_user(ADA)
        signed_out = await logout_user()

        assert signed_out is True
        assert dict(session) == {}


async def test_logout_user_leaves_everything_else_in_the_session(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    async def home() -> dict[str, Any]:
        await logout_user()
        return dict(session)

    client = await sign_in(app, "1", _login_id="x", _fresh=True, cart=["book"], language="en")

    assert await (await client.get("/")).get_json() == {"cart": ["book"], "language": "en"}


@pytest.mark.parametrize("known", [True, False], ids=["after a look", "before a look"])
async def test_after_logout_current_user_is_anonymous(visit: Visit, known: bool) -> None:
    looks = {True: (current_user,), False: ()}[known]

    async with visit("1"):
        for look in looks:
            await look
        await logout_user()

        assert current_user.is_anonymous
        assert type(await current_user) is AnonymousUserMixin


async def test_an_anonymous_visitor_may_sign_out(visit: Visit) -> None:
    async with visit():
        session["cart"] = ["book"]

        assert await logout_user() is True
        assert dict(session) == {"cart": ["book"]}


async def test_a_session_with_a_malformed_user_id_is_cleaned(visit: Visit) -> None:
    async with visit():
        session.update(_user_id=7, _login_id=["x"], _fresh="yes")
        await logout_user()

        assert dict(session) == {}


async def test_signing_in_after_signing_out_counts(visit: Visit) -> None:
    async with visit("1"):
        await logout_user()
        await login_user(GRACE)

        assert session["_user_id"] == "2"
        assert await current_user is GRACE


async def test_the_cookie_of_an_empty_session_is_deleted(app: Quart) -> None:
    @app.post("/login")
    async def login() -> str:
        await login_user(ADA)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    client = app.test_client()
    await client.post("/login")
    response = await client.post("/logout")

    assert re.match(r"session=;.*(Max-Age=0|Expires=Thu, 01 Jan 1970)", response.headers["Set-Cookie"])
    assert list(client.cookie_jar) == []


# --- where no cookie can be set -------------------------------------------------------------------------------


async def test_signing_in_outside_a_request_raises(app: Quart) -> None:
    with pytest.raises(RequestNeededError, match="request"):
        await login_user(ADA)


async def test_signing_out_outside_a_request_raises(app: Quart) -> None:
    async with app.app_context():
        with pytest.raises(RequestNeededError, match="request"):
            await logout_user()


@pytest.mark.parametrize("change", [lambda: login_user(ADA), logout_user], ids=["in", "out"])
async def test_signing_in_and_out_in_a_websocket_raises_and_changes_nothing(
    app: Quart, sign_in: SignIn, receive: Receive, change: Any
) -> None:
    @app.websocket("/live")
    async def live() -> None:
        with pytest.raises(RequestNeededError, match="websocket"):
            await change()
        await websocket.send(f"{(await current_user).name} {dict(session)}")

    cookie = next(iter((await sign_in(app, "2")).cookie_jar)).value
    answer = await receive(app, f"session={cookie}")

    assert answer == "Grace {'_user_id': '2'}"
