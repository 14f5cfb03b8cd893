"""Cache headers of responses that depend on the user (web cache deception), and of no others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quart
from quart import (
    Blueprint,
    Quart,
    Response,
    abort,
    after_this_request,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    send_file,
    session,
)
from users import ADA, SignIn, User

from quartlogin import (
    AnonymousUserMixin,
    LoginManager,
    UserNotLoadedError,
    current_user,
    login_required,
    login_user,
    logout_user,
)

QUART_SETS_VARY_ITSELF = not hasattr(quart.globals, "_cv_request")


def directives(response: Any) -> set[str]:
    """The directives of a response's Cache-Control."""
    return {part.strip() for part in response.headers["Cache-Control"].split(",")}


async def look_by_await() -> str:
    return str((await current_user).is_anonymous)


async def look_by_template() -> str:
    return await render_template_string("{{ current_user.is_anonymous }}")


def look_in_a_def_view() -> str:
    return str(current_user.is_anonymous)


async def sign_in_and_answer() -> str:
    await login_user(ADA)
    return "welcome"


async def sign_out_and_answer() -> str:
    await logout_user()
    return "bye"


async def look_and_redirect() -> Any:
    await current_user
    return redirect("/")


async def look_and_abort() -> str:
    await current_user
    abort(404)


async def look_and_break() -> str:
    await current_user
    raise ZeroDivisionError


async def look_and_stream() -> Any:
    user = await current_user

    async def body() -> Any:
        yield str(user.is_anonymous)

    return body()


async def look_for_json() -> Any:
    return jsonify(anonymous=(await current_user).is_anonymous)


LOOKING_VIEWS = [
    look_by_await,
    look_by_template,
    look_in_a_def_view,
    sign_in_and_answer,
    sign_out_and_answer,
    look_and_redirect,
    look_and_abort,
    look_and_break,
    look_and_stream,
    look_for_json,
    login_required(look_by_await),
]


@pytest.mark.requirement("V7", "V8")
@pytest.mark.parametrize("visitor", ["1", None], ids=["signed in", "anonymous"])
@pytest.mark.parametrize("view", LOOKING_VIEWS, ids=lambda view: view.__name__)
async def test_web_cache_deception_a_response_that_read_the_user_is_private(
    app: Quart, sign_in: SignIn, view: Callable[..., Any], visitor: str | None
) -> None:
    app.add_url_rule("/", view_func=view)

    response = await (await sign_in(app, visitor)).get("/")

    assert directives(response) == {"private", "no-store"}
    assert "Cookie" in response.vary


async def test_the_redirect_of_a_guard_is_for_one_visitor_only(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/login"
    app.add_url_rule("/", view_func=login_required(look_by_await))

    response = await app.test_client().get("/")

    assert response.status_code == 302
    assert directives(response) == {"private", "no-store"}
    assert "Cookie" in response.vary


async def test_the_401_of_a_guard_is_for_one_visitor_only(app: Quart) -> None:
    app.add_url_rule("/", view_func=login_required(look_by_await))

    response = await app.test_client().get("/")

    assert response.status_code == 401
    assert directives(response) == {"private", "no-store"}


async def test_a_response_after_a_failed_load_is_for_one_visitor_only(
    app: Quart, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        raise ZeroDivisionError

    app.add_url_rule("/", view_func=look_by_await)

    response = await (await sign_in(app)).get("/")

    assert response.status_code == 500
    assert directives(response) == {"private", "no-store"}


async def test_an_error_page_that_looks_is_for_one_visitor_only(app: Quart, sign_in: SignIn) -> None:
    @app.errorhandler(404)
    async def not_found(error: Exception) -> tuple[str, int]:
        return await render_template_string("Nothing here, {{ current_user.name }}."), 404

    response = await (await sign_in(app)).get("/nowhere")

    assert await response.get_data(as_text=True) == "Nothing here, Ada."
    assert directives(response) == {"private", "no-store"}


async def test_a_before_request_function_that_looks_makes_the_response_private(app: Quart) -> None:
    @app.before_request
    async def look() -> None:
        await current_user

    @app.get("/")
    async def home() -> str:
        return "welcome"

    response = await app.test_client().get("/")

    assert directives(response) == {"private", "no-store"}


async def look(response: Response) -> Response:
    await current_user
    return response


def look_in_a_thread(response: Response) -> Response:
    response.headers["X-User"] = current_user.name
    return response


@pytest.mark.parametrize("function", [look, look_in_a_thread])
async def test_an_after_request_function_registered_before_the_manager_makes_it_private(
    bare_app: Quart,
    sign_in: SignIn,
    login_manager: LoginManager[User],
    loads: list[str],
    function: Callable[[Response], Any],
) -> None:
    bare_app.after_request(function)
    login_manager.init_app(bare_app)

    @bare_app.get("/")
    async def home() -> str:
        return "welcome"

    response = await (await sign_in(bare_app)).get("/")

    assert loads == ["1"]
    assert directives(response) == {"private", "no-store"}


async def test_an_after_request_function_registered_after_the_manager_makes_it_private(app: Quart) -> None:
    app.after_request(look)

    @app.get("/")
    async def home() -> str:
        return "welcome"

    response = await app.test_client().get("/")

    assert directives(response) == {"private", "no-store"}


async def test_an_after_request_function_of_a_blueprint_makes_it_private(app: Quart) -> None:
    blueprint = Blueprint("pages", "pages")
    blueprint.after_request(look)

    @blueprint.get("/")
    async def home() -> str:
        return "welcome"

    app.register_blueprint(blueprint)

    response = await app.test_client().get("/")

    assert directives(response) == {"private", "no-store"}


async def test_an_after_this_request_function_makes_it_private(app: Quart) -> None:
    @app.get("/")
    async def home() -> str:
        after_this_request(look)
        return "welcome"

    response = await app.test_client().get("/")

    assert directives(response) == {"private", "no-store"}


async def test_a_file_sent_to_a_known_user_is_not_public(app: Quart, sign_in: SignIn, tmp_path: Path) -> None:
    (tmp_path / "invoice.txt").write_text("what Ada owes")

    @app.get("/")
    @login_required
    async def invoice() -> Response:
        return await send_file(tmp_path / "invoice.txt", cache_timeout=60)

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "what Ada owes"
    assert directives(response) == {"private", "max-age=60"}
    assert "Cookie" in response.vary


async def test_a_file_sent_to_every_visitor_stays_public(app: Quart, tmp_path: Path) -> None:
    (tmp_path / "logo.txt").write_text("logo")

    @app.get("/")
    async def logo() -> Response:
        return await send_file(tmp_path / "logo.txt", cache_timeout=60)

    response = await app.test_client().get("/")

    assert directives(response) == {"public", "max-age=60"}


@pytest.mark.parametrize(
    ("from_the_view", "sent"),
    [
        ("max-age=60", {"private", "max-age=60"}),
        ("public", {"private"}),
        ("public, max-age=60, immutable", {"private", "max-age=60", "immutable"}),
        ("private", {"private"}),
        ("private, max-age=60", {"private", "max-age=60"}),
        ("no-store", {"no-store"}),
        ("no-store, max-age=0", {"no-store", "max-age=0"}),
        ("no-cache", {"private", "no-cache"}),
        ("no-cache, must-revalidate", {"private", "no-cache", "must-revalidate"}),
        ("Public", {"private"}),
        ("", {"private"}),
        ('private="X-Account"', {"private"}),
    ],
)
async def test_what_the_view_says_is_kept_and_made_private(app: Quart, from_the_view: str, sent: set[str]) -> None:
    """`private` with field names hides only those from shared caches (RFC 9111, 5.2.2.7), so it becomes plain."""

    @app.get("/")
    async def home() -> Response:
        response = await make_response((await current_user).__class__.__name__)
        response.headers["Cache-Control"] = from_the_view
        return response

    response = await app.test_client().get("/")

    assert directives(response) == sent


async def test_what_the_view_varies_on_is_kept(app: Quart) -> None:
    @app.get("/")
    async def home() -> Response:
        response = await make_response(str((await current_user).is_anonymous))
        response.vary.add("Accept-Language")
        return response

    response = await app.test_client().get("/")

    assert {"Accept-Language", "Cookie"} <= set(response.vary)


# --- responses that did not look ------------------------------------------------------------------------------


async def answer_at_once() -> str:
    return "welcome"


async def render_without_naming() -> str:
    return await render_template_string("welcome")


async def read_too_early() -> str:
    with pytest.raises(UserNotLoadedError):
        current_user.name  # noqa: B018
    return "welcome"


def answer_in_a_thread() -> str:
    return "welcome"


@pytest.mark.parametrize("visitor", ["1", None], ids=["signed in", "anonymous"])
@pytest.mark.parametrize("view", [answer_at_once, render_without_naming, read_too_early, answer_in_a_thread])
async def test_a_response_that_did_not_look_is_left_alone(
    app: Quart, sign_in: SignIn, view: Callable[..., Any], visitor: str | None
) -> None:
    app.add_url_rule("/", view_func=view)

    response = await (await sign_in(app, visitor)).get("/")

    assert await response.get_data(as_text=True) == "welcome"
    assert "Cache-Control" not in response.headers


@pytest.mark.skipif(QUART_SETS_VARY_ITSELF, reason="this Quart sets Vary: Cookie on every response")
async def test_a_response_that_did_not_look_does_not_vary(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=answer_at_once)

    response = await (await sign_in(app)).get("/")

    assert "Vary" not in response.headers


async def test_a_page_not_found_is_left_alone(app: Quart) -> None:
    response = await app.test_client().get("/nowhere")

    assert response.status_code == 404
    assert "Cache-Control" not in response.headers


async def test_the_options_of_a_guarded_page_are_left_alone(app: Quart) -> None:
    app.add_url_rule("/", view_func=login_required(look_by_await))

    response = await app.test_client().options("/")

    assert "Cache-Control" not in response.headers


async def test_a_second_request_that_does_not_look_is_left_alone(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/looking", view_func=look_by_await)
    app.add_url_rule("/plain", view_func=answer_at_once)
    client = await sign_in(app)

    async with app.app_context():
        looking = await client.get("/looking")
        plain = await client.get("/plain")

    assert "Cache-Control" in looking.headers
    assert "Cache-Control" not in plain.headers


# --- cookies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visitor", ["1", "404", 7, None], ids=["signed in", "unknown", "malformed", "anonymous"])
@pytest.mark.parametrize("view", [look_by_await, look_by_template, look_in_a_def_view, look_and_abort, look_and_break])
async def test_a_visitor_who_only_looks_gets_no_cookie(
    app: Quart, sign_in: SignIn, view: Callable[..., Any], visitor: object
) -> None:
    app.add_url_rule("/", view_func=view)

    response = await (await sign_in(app, visitor)).get("/")

    assert "Set-Cookie" not in response.headers


async def test_a_visitor_without_any_cookie_gets_none(app: Quart) -> None:
    app.add_url_rule("/", view_func=look_by_template)

    response = await app.test_client().get("/")

    assert "Set-Cookie" not in response.headers


async def test_an_anonymous_visitor_who_signs_out_gets_no_cookie(app: Quart) -> None:
    app.add_url_rule("/", view_func=sign_out_and_answer)

    response = await app.test_client().get("/")

    assert "Set-Cookie" not in response.headers


async def test_a_view_that_uses_the_session_alone_is_left_alone(app: Quart) -> None:
    @app.get("/")
    async def home() -> str:
        session["colour"] = "green"
        return type(AnonymousUserMixin()).__name__

    response = await app.test_client().get("/")

    assert "Set-Cookie" in response.headers
    assert "Cache-Control" not in response.headers
