"""`login_required`: who reaches a view, and what other clients get."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import quart_auth
from quart import Quart, Response, get_flashed_messages, redirect, request
from quart.views import MethodView
from users import ADA, SignIn, User

from quartlogin import (
    EXEMPT_METHODS,
    LOGIN_MESSAGE,
    LOGIN_MESSAGE_CATEGORY,
    LoginManager,
    LoginRequired,
    UserNotLoadedError,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)


@login_required
async def account() -> str:
    return f"account of {current_user.name}"


@login_required
def account_in_a_thread() -> str:
    return f"account of {current_user.name}"


VIEWS = pytest.mark.parametrize("view", [account, account_in_a_thread], ids=["async def", "def"])


@pytest.fixture
def login_view(app: Quart, login_manager: LoginManager[User]) -> str:
    """The app's login page, which lists the flashed messages."""
    login_manager.login_view = "login"

    @app.get("/login")
    async def login() -> dict[str, Any]:
        return {"messages": get_flashed_messages(with_categories=True)}

    return "/login"


@VIEWS
async def test_a_signed_in_user_reaches_the_view(app: Quart, sign_in: SignIn, view: Callable[..., Any]) -> None:
    app.add_url_rule("/account", view_func=view)

    response = await (await sign_in(app)).get("/account")

    assert await response.get_data(as_text=True) == "account of Ada"


@VIEWS
async def test_an_anonymous_visitor_gets_401(app: Quart, view: Callable[..., Any]) -> None:
    app.add_url_rule("/account", view_func=view)

    response = await app.test_client().get("/account")

    assert response.status_code == 401


@VIEWS
async def test_an_anonymous_visitor_is_sent_to_the_login_page_and_back(
    app: Quart, login_view: str, view: Callable[..., Any]
) -> None:
    app.add_url_rule("/account", view_func=view)

    response = await app.test_client().get("/account?tab=2&q=%26")

    assert response.status_code == 302
    assert response.headers["Location"] == "/login?next=%2Faccount%3Ftab%3D2%26q%3D%2526"


async def test_a_login_page_may_be_given_as_a_url(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "https://accounts.example/login"
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert response.headers["Location"] == "https://accounts.example/login?next=http%3A%2F%2Flocalhost%2Faccount"


@pytest.mark.parametrize("user_id", ["404", 1, True, None, ["1"]], ids=repr)
async def test_a_session_of_an_unknown_user_is_rejected(app: Quart, sign_in: SignIn, user_id: object) -> None:
    app.add_url_rule("/account", view_func=account)

    response = await (await sign_in(app, user_id)).get("/account")

    assert response.status_code == 401


@VIEWS
async def test_an_inactive_user_is_rejected(app: Quart, sign_in: SignIn, view: Callable[..., Any]) -> None:
    app.add_url_rule("/account", view_func=view)

    response = await (await sign_in(app, "3")).get("/account")

    assert response.status_code == 401


async def test_a_user_who_has_signed_out_is_rejected(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/account", view_func=account)

    @app.post("/logout")
    async def leave() -> str:
        await logout_user()
        return ""

    client = await sign_in(app)
    before = await client.get("/account")
    await client.post("/logout")
    after = await client.get("/account")

    assert (before.status_code, after.status_code) == (200, 401)


@VIEWS
async def test_a_guarded_view_loads_once(
    app: Quart, sign_in: SignIn, loads: list[str], view: Callable[..., Any]
) -> None:
    app.add_url_rule("/account", view_func=view)

    await (await sign_in(app)).get("/account")

    assert loads == ["1"]


async def test_two_guards_are_as_good_as_one(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    app.add_url_rule("/account", view_func=login_required(account))

    response = await (await sign_in(app)).get("/account")

    assert await response.get_data(as_text=True) == "account of Ada"
    assert loads == ["1"]


async def test_a_guarded_view_gets_its_arguments(app: Quart, sign_in: SignIn) -> None:
    @app.get("/shelf/<int:number>")
    @login_required
    async def shelf(number: int) -> str:
        return f"shelf {number + 1} of {current_user.name}"

    response = await (await sign_in(app)).get("/shelf/4")

    assert await response.get_data(as_text=True) == "shelf 5 of Ada"


@pytest.mark.parametrize("visitor", ["1", None], ids=["signed in", "anonymous"])
async def test_a_method_view_is_guarded_by_its_decorators(app: Quart, sign_in: SignIn, visitor: str | None) -> None:
    class Account(MethodView):
        decorators = [login_required]  # noqa: RUF012 -- Quart's way

        async def get(self) -> str:
            return "get"

        async def post(self) -> str:
            return "post"

    app.add_url_rule("/account", view_func=Account.as_view("account"))
    client = await sign_in(app, visitor)

    statuses = [(await client.get("/account")).status_code, (await client.post("/account")).status_code]

    assert statuses == {"1": [200, 200], None: [401, 401]}[visitor]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_other_method_is_guarded(app: Quart, method: str) -> None:
    app.add_url_rule("/account", view_func=account, methods=[method])

    response = await app.test_client().open("/account", method=method)

    assert response.status_code == 401


async def test_options_of_a_guarded_view_pass_unasked(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.route("/account", methods=["GET", "OPTIONS"], provide_automatic_options=False)
    @login_required
    async def account() -> str:
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018
        return request.method

    response = await (await sign_in(app)).options("/account")

    assert await response.get_data(as_text=True) == "OPTIONS"
    assert loads == []


def test_only_options_are_exempt() -> None:
    assert frozenset({"OPTIONS"}) == EXEMPT_METHODS


@VIEWS
def test_a_guard_is_a_coroutine_function(view: Callable[..., Any]) -> None:
    assert inspect.iscoroutinefunction(view)


def test_a_guard_keeps_the_views_name_and_words() -> None:
    @login_required
    async def shelf(number: int) -> str:
        """Show a shelf."""
        return str(number)

    assert (shelf.__name__, shelf.__doc__) == ("shelf", "Show a shelf.")
    assert list(inspect.signature(shelf).parameters) == ["number"]


async def test_a_view_of_another_name_does_not_collide(app: Quart) -> None:
    app.add_url_rule("/first", view_func=account)
    app.add_url_rule("/second", view_func=account_in_a_thread)

    assert {"account", "account_in_a_thread"} <= set(app.view_functions)


# --- the flashed message --------------------------------------------------------------------------------------


async def test_the_login_page_gets_the_message(app: Quart, login_view: str) -> None:
    app.add_url_rule("/account", view_func=account)
    client = app.test_client()

    await client.get("/account")
    page = await (await client.get("/login")).get_json()

    assert page == {"messages": [[LOGIN_MESSAGE_CATEGORY, LOGIN_MESSAGE]]}


async def test_the_message_is_flashed_once_however_often_a_visitor_is_sent(app: Quart, login_view: str) -> None:
    app.add_url_rule("/account", view_func=account)
    client = app.test_client()

    await client.get("/account")
    await client.get("/account")
    again = await client.get("/account")
    page = await (await client.get("/login")).get_json()

    assert "Set-Cookie" not in again.headers
    assert page == {"messages": [[LOGIN_MESSAGE_CATEGORY, LOGIN_MESSAGE]]}


async def test_the_message_is_flashed_again_once_it_was_read(app: Quart, login_view: str) -> None:
    app.add_url_rule("/account", view_func=account)
    client = app.test_client()

    await client.get("/account")
    await client.get("/login")
    await client.get("/account")
    page = await (await client.get("/login")).get_json()

    assert page == {"messages": [[LOGIN_MESSAGE_CATEGORY, LOGIN_MESSAGE]]}


async def test_the_message_and_its_category_are_the_apps_own(
    app: Quart, login_manager: LoginManager[User], login_view: str
) -> None:
    login_manager.login_message = "Bitte anmelden."
    login_manager.login_message_category = "warning"
    app.add_url_rule("/account", view_func=account)
    client = app.test_client()

    await client.get("/account")
    page = await (await client.get("/login")).get_json()

    assert page == {"messages": [["warning", "Bitte anmelden."]]}


@pytest.mark.parametrize("nothing", [None, ""])
async def test_no_message_is_flashed_on_demand(
    app: Quart, login_manager: LoginManager[User], login_view: str, nothing: str | None
) -> None:
    login_manager.login_message = nothing
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert response.status_code == 302
    assert "Set-Cookie" not in response.headers


async def test_a_visitor_who_gets_401_is_flashed_nothing(app: Quart) -> None:
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert "Set-Cookie" not in response.headers


# --- an unauthorized_handler ----------------------------------------------------------------------------------


async def refuse() -> tuple[str, int]:
    return "Members only.", 403


def refuse_in_a_thread() -> tuple[str, int]:
    return "Members only.", 403


HANDLERS = pytest.mark.parametrize("handler", [refuse, refuse_in_a_thread], ids=["async def", "def"])


@HANDLERS
@VIEWS
async def test_the_unauthorized_handler_answers(
    app: Quart, login_manager: LoginManager[User], handler: Callable[..., Any], view: Callable[..., Any]
) -> None:
    login_manager.login_view = "/login"
    login_manager.unauthorized_handler(handler)
    app.add_url_rule("/account", view_func=view)

    response = await app.test_client().get("/account")

    assert (response.status_code, await response.get_data(as_text=True)) == (403, "Members only.")
    assert "Set-Cookie" not in response.headers


@HANDLERS
async def test_the_unauthorized_handler_is_not_asked_about_a_signed_in_user(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User], handler: Callable[..., Any]
) -> None:
    login_manager.unauthorized_handler(handler)
    app.add_url_rule("/account", view_func=account)

    response = await (await sign_in(app)).get("/account")

    assert response.status_code == 200


@HANDLERS
async def test_the_value_of_the_handler_is_returned_as_it_is(
    app: Quart, login_manager: LoginManager[User], handler: Callable[..., Any]
) -> None:
    login_manager.unauthorized_handler(handler)

    async with app.test_request_context("/account"):
        answer = await account()

    assert answer == ("Members only.", 403)


@HANDLERS
def test_registering_a_handler_gives_it_back(login_manager: LoginManager[User], handler: Callable[..., Any]) -> None:
    assert login_manager.unauthorized_handler(handler) is handler
    assert login_manager.unauthorized_callback is handler


async def catch_all(error: Exception) -> tuple[str, int]:
    return "caught", 418


@pytest.mark.parametrize("caught", [401, quart_auth.Unauthorized, LoginRequired])
async def test_a_redirect_is_not_seen_by_a_handler_for_401(
    app: Quart, login_manager: LoginManager[User], caught: Any
) -> None:
    app.register_error_handler(caught, catch_all)
    login_manager.unauthorized_handler(lambda: redirect("/welcome"))
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert (response.status_code, response.headers["Location"]) == (302, "/welcome")


@pytest.mark.parametrize("caught", [401, quart_auth.Unauthorized, LoginRequired])
async def test_the_redirect_to_the_login_page_is_not_seen_by_a_handler_for_401(
    app: Quart, login_view: str, caught: Any
) -> None:
    app.register_error_handler(caught, catch_all)
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert response.status_code == 302


@pytest.mark.parametrize("caught", [401, quart_auth.Unauthorized, LoginRequired])
async def test_a_handler_for_401_sees_the_error(app: Quart, caught: Any) -> None:
    errors: list[Exception] = []

    @app.errorhandler(caught)
    async def note(error: Exception) -> tuple[str, int]:
        errors.append(error)
        return type(await current_user).__name__, 401

    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert await response.get_data(as_text=True) == "AnonymousUserMixin"
    assert [type(error) for error in errors] == [LoginRequired]


def test_the_401_is_quart_auths() -> None:
    assert issubclass(LoginRequired, quart_auth.Unauthorized)
    assert LoginRequired().code == 401


async def test_a_handler_may_raise(app: Quart, login_manager: LoginManager[User]) -> None:
    @login_manager.unauthorized_handler
    async def refuse() -> None:
        raise LoginRequired

    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert response.status_code == 401


async def test_a_handler_may_use_the_anonymous_user(app: Quart, login_manager: LoginManager[User]) -> None:
    @login_manager.unauthorized_handler
    def refuse() -> str:
        return str(current_user.is_anonymous)

    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account")

    assert await response.get_data(as_text=True) == "True"


async def test_a_view_may_ask_for_the_answer_itself(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/login"

    @app.get("/account")
    async def account() -> Any:
        return await login_manager.unauthorized()

    response = await app.test_client().get("/account")

    assert response.headers["Location"] == "/login?next=%2Faccount"


async def test_a_view_that_is_called_after_login_user_lets_the_user_through(app: Quart) -> None:
    @app.get("/")
    async def home() -> str:
        await login_user(ADA)
        return await account()

    response = await app.test_client().get("/")

    assert await response.get_data(as_text=True) == "account of Ada"


async def test_a_response_object_of_the_view_is_passed_on(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    @login_required
    async def home() -> Response:
        return Response("made by hand", 202, {"X-Made": "by hand"})

    response = await (await sign_in(app)).get("/")

    assert (response.status_code, response.headers["X-Made"]) == (202, "by hand")


@pytest.mark.parametrize("guard", [login_required, fresh_login_required])
async def test_a_handler_that_returns_none_lets_no_visitor_through(
    app: Quart, login_manager: LoginManager[User], guard: Any
) -> None:
    """A forgotten `return`: the view must not run for it."""
    app.testing = False
    ran: list[str] = []

    @login_manager.unauthorized_handler
    async def refuse() -> None:
        pass

    @app.get("/secret")
    @guard
    async def secret() -> str:
        ran.append("secret")
        return "secret"

    response = await app.test_client().get("/secret")

    assert response.status_code == 500
    assert ran == []
