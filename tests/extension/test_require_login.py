"""`require_login` and `eager`: what an app may have done before every view."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart, g, redirect, websocket
from quart.testing.connections import WebsocketResponseError
from quart.views import MethodView, View
from users import BY_ID, SignIn, User

from quartlogin import LoginManager, UserNotLoadedError, current_user, login_exempt, login_required


@pytest.fixture
def login_manager() -> LoginManager[User]:
    return LoginManager(require_login=True)


@pytest.fixture
def eager(login_manager: LoginManager[User]) -> None:
    """Instead of guarding every view, load before it."""
    login_manager.require_login = False
    login_manager.eager = True


async def status(app: Quart, path: str, method: str = "GET", **headers: str) -> int:
    return (await app.test_client().open(path, method=method, headers=headers)).status_code


async def home() -> str:
    return "home"


# --- what is guarded ------------------------------------------------------------------------------------------


async def test_a_view_is_guarded_without_a_word(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=home)

    anonymous = await app.test_client().get("/")
    ada = await (await sign_in(app)).get("/")

    assert (anonymous.status_code, ada.status_code) == (401, 200)


async def test_the_view_of_a_visitor_does_not_run(app: Quart) -> None:
    ran: list[str] = []

    @app.post("/")
    async def delete_everything() -> str:
        ran.append("deleted")
        return ""

    assert await status(app, "/", "POST") == 401
    assert ran == []


async def test_a_def_view_is_guarded(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    def name() -> str:
        return str(current_user.name)

    ada = await (await sign_in(app)).get("/")

    assert await status(app, "/") == 401
    assert await ada.get_data(as_text=True) == "Ada"


async def test_plain_attributes_work_in_every_guarded_view(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.get("/")
    async def name() -> str:
        return str(current_user.name)

    ada = await (await sign_in(app)).get("/")

    assert await ada.get_data(as_text=True) == "Ada"
    assert loads == ["1"]


async def test_a_guard_of_its_own_does_no_harm(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    app.add_url_rule("/", view_func=login_required(home))

    ada = await (await sign_in(app)).get("/")

    assert ada.status_code == 200
    assert loads == ["1"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_but_options_is_guarded(app: Quart, method: str) -> None:
    app.add_url_rule("/", view_func=home, methods=[method])

    assert await status(app, "/", method) == 401


@pytest.mark.parametrize("is_automatic", [True, False], ids=["Quart's answer", "the view's answer"])
async def test_options_pass_unasked(app: Quart, sign_in: SignIn, loads: list[str], *, is_automatic: bool) -> None:
    app.add_url_rule("/", view_func=home, methods=["GET", "OPTIONS"], provide_automatic_options=is_automatic)

    anonymous = await status(app, "/", "OPTIONS")
    ada = await (await sign_in(app)).options("/")

    assert (anonymous, ada.status_code) == (200, 200)
    assert loads == []


async def test_a_missing_page_is_404_for_every_visitor(app: Quart, loads: list[str], sign_in: SignIn) -> None:
    ada = await (await sign_in(app)).get("/nowhere")

    assert (await status(app, "/nowhere"), ada.status_code) == (404, 404)
    assert loads == []


async def test_a_missing_method_is_405_for_every_visitor(app: Quart) -> None:
    app.add_url_rule("/", view_func=home)

    assert await status(app, "/", "DELETE") == 405


async def test_a_missing_slash_is_redirected_for_every_visitor(app: Quart) -> None:
    app.add_url_rule("/shelf/", view_func=home)

    assert await status(app, "/shelf") == 308
    assert await status(app, "/shelf/") == 401


async def test_an_inactive_user_is_rejected_everywhere(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=home)

    response = await (await sign_in(app, "3")).get("/")

    assert response.status_code == 401


async def test_a_client_that_prefers_json_gets_a_problem(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/login"
    app.add_url_rule("/", view_func=home)

    response = await app.test_client().get("/", headers={"Accept": "application/json"})

    assert (response.status_code, response.mimetype) == (401, "application/problem+json")


async def test_the_apps_own_answer_is_used(app: Quart, login_manager: LoginManager[User]) -> None:
    app.add_url_rule("/", view_func=home)

    @login_manager.unauthorized_handler
    async def refuse() -> tuple[str, int]:
        return "Members only.", 403

    assert await status(app, "/") == 403


# --- after the app's own before_request functions -------------------------------------------------------------


@pytest.fixture
def loading_from_g(login_manager: LoginManager[User], loads: list[str]) -> None:
    """A loader that uses what the app's functions have set up, as Flask's tutorial and quart-db do."""

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        user: User | None = g.db.get(user_id)
        return user


async def open_database() -> None:
    g.db = BY_ID


@pytest.fixture(params=["guarded", "eager"])
def always_loads(request: pytest.FixtureRequest, login_manager: LoginManager[User]) -> None:
    login_manager.require_login = request.param == "guarded"
    login_manager.eager = request.param == "eager"


@pytest.mark.parametrize("registered", ["before init_app", "after init_app"])
async def test_the_loader_uses_what_a_before_request_function_has_set_up(
    bare_app: Quart,
    login_manager: LoginManager[User],
    loading_from_g: None,
    always_loads: None,
    sign_in: SignIn,
    registered: str,
) -> None:
    if registered == "before init_app":
        bare_app.before_request(open_database)
    login_manager.init_app(bare_app)
    if registered == "after init_app":
        bare_app.before_request(open_database)
    bare_app.add_url_rule("/", view_func=lambda: current_user.name, endpoint="name")

    response = await (await sign_in(bare_app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"


async def test_the_loader_uses_what_a_blueprints_before_request_function_has_set_up(
    app: Quart, loading_from_g: None, always_loads: None, sign_in: SignIn
) -> None:
    shop = Blueprint("shop", "shop", url_prefix="/shop")
    shop.before_request(open_database)

    @shop.get("/")
    async def name() -> str:
        return str(current_user.name)

    app.register_blueprint(shop)

    response = await (await sign_in(app)).get("/shop/")

    assert await response.get_data(as_text=True) == "Ada"


async def test_the_loader_uses_what_a_before_websocket_function_has_set_up(
    app: Quart, loading_from_g: None, always_loads: None, sign_in: SignIn
) -> None:
    app.before_websocket(open_database)

    @app.websocket("/live")
    async def live() -> None:
        await websocket.send(current_user.name)

    assert await first_word(app, await sign_in(app)) == "Ada"


async def test_an_app_with_a_dispatching_of_its_own_is_guarded(
    login_manager: LoginManager[User], loads: list[str], sign_in: SignIn
) -> None:
    class Counting(Quart):
        dispatched = 0

        async def dispatch_request(self, *context: Any) -> Any:
            self.dispatched += 1
            return await super().dispatch_request(*context)

    app = Counting("site", template_folder=None, static_folder=None)
    app.secret_key = "a key for tests, and for nothing else"
    login_manager.init_app(app)
    app.add_url_rule("/", view_func=home)

    ada = await (await sign_in(app)).get("/")

    assert (ada.status_code, await status(app, "/"), app.dispatched) == (200, 401, 1)


async def test_the_apps_own_functions_run_for_a_rejected_visitor(app: Quart) -> None:
    ran: list[str] = []

    @app.before_request
    async def count() -> None:
        ran.append("counted")

    app.add_url_rule("/", view_func=home)

    assert await status(app, "/") == 401
    assert ran == ["counted"]


async def test_a_before_request_function_that_answers_is_not_guarded(app: Quart) -> None:
    @app.before_request
    async def close() -> tuple[str, int]:
        return "Closed for today.", 503

    app.add_url_rule("/", view_func=home)

    assert await status(app, "/") == 503


async def test_the_error_in_a_before_request_function_says_to_await(
    app: Quart, always_loads: None, sign_in: SignIn
) -> None:
    """`eager=True` would not help there."""
    errors: list[str] = []

    @app.before_request
    async def note() -> None:
        with pytest.raises(UserNotLoadedError) as error:
            current_user.name  # noqa: B018
        errors.append(str(error.value))
        errors.append((await current_user).name)

    app.add_url_rule("/", view_func=home)
    await (await sign_in(app)).get("/")

    assert "`user = await current_user`" in errors[0]
    assert "@login_required" not in errors[0]
    assert errors[1] == "Ada"


async def test_the_error_in_a_view_mentions_eager(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.require_login = False

    @app.get("/")
    async def name() -> str:
        with pytest.raises(UserNotLoadedError, match=r"await current_user.*login_required.*eager=True"):
            current_user.name  # noqa: B018
        return ""

    assert await status(app, "/") == 200


async def test_an_error_handler_responds_to_a_rejected_visitor(app: Quart) -> None:
    @app.errorhandler(401)
    async def sorry(error: Exception) -> tuple[str, int]:
        return "Members only.", 401

    app.add_url_rule("/", view_func=home)

    response = await app.test_client().get("/")

    assert (response.status_code, await response.get_data(as_text=True)) == (401, "Members only.")


# --- what is exempt -------------------------------------------------------------------------------------------


async def test_an_exempt_view_is_open(app: Quart, loads: list[str], sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=login_exempt(lambda: "open"), endpoint="open")

    ada = await (await sign_in(app)).get("/")

    assert (await status(app, "/"), ada.status_code) == (200, 200)
    assert loads == []


async def test_the_mark_may_stand_above_the_route_or_below(app: Quart) -> None:
    @login_exempt
    @app.get("/above")
    async def above() -> str:
        return ""

    @app.get("/below")
    @login_exempt
    async def below() -> str:
        return ""

    assert [await status(app, "/above"), await status(app, "/below")] == [200, 200]


def test_the_mark_gives_back_what_it_marks() -> None:
    async def view() -> str:
        return ""

    assert login_exempt(view) is view


async def test_an_exempt_method_view_is_open(app: Quart) -> None:
    @login_exempt
    class Status(MethodView):
        async def get(self) -> str:
            return ""

        async def post(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Status.as_view("status"))

    assert [await status(app, "/"), await status(app, "/", "POST")] == [200, 200]


async def test_a_method_view_is_guarded_without_the_mark(app: Quart) -> None:
    class Status(MethodView):
        async def get(self) -> str:
            return ""

    class Page(View):
        async def dispatch_request(self) -> str:  # type: ignore[override]
            return ""

    app.add_url_rule("/method", view_func=Status.as_view("status"))
    app.add_url_rule("/page", view_func=Page.as_view("page"))

    assert [await status(app, "/method"), await status(app, "/page")] == [401, 401]


async def test_the_class_of_a_method_view_may_exempt_by_its_decorators(app: Quart) -> None:
    class Status(MethodView):
        decorators = [login_exempt]  # noqa: RUF012 -- Quart's way

        async def get(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Status.as_view("status"))

    assert await status(app, "/") == 200


async def test_one_exempt_view_opens_no_other(app: Quart) -> None:
    app.add_url_rule("/open", view_func=login_exempt(lambda: ""), endpoint="open")
    app.add_url_rule("/", view_func=home)

    assert [await status(app, "/open"), await status(app, "/")] == [200, 401]


async def test_an_exempt_view_with_a_guard_of_its_own_is_guarded(app: Quart) -> None:
    app.add_url_rule("/", view_func=login_exempt(login_required(home)))

    assert await status(app, "/") == 401


# --- files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def with_files(tmp_path: Path, login_manager: LoginManager[User], loads: list[str]) -> Quart:
    """An app and a blueprint that serve the file `style.css`."""
    (tmp_path / "style.css").write_text("body {}")
    app = Quart("site", template_folder=None, static_folder=str(tmp_path))
    app.secret_key = "a key for tests, and for nothing else"
    app.register_blueprint(Blueprint("shop", "shop", url_prefix="/shop", static_folder=str(tmp_path)))
    login_manager.init_app(app)
    app.add_url_rule("/", view_func=home)
    return app


@pytest.mark.parametrize("endpoint", ["static", "shop.static"])
async def test_files_are_open_and_load_no_user(
    with_files: Quart, sign_in: SignIn, loads: list[str], endpoint: str
) -> None:
    (rule,) = [rule for rule in with_files.url_map.iter_rules() if rule.endpoint == endpoint]
    path = rule.rule.replace("<path:filename>", "style.css")

    anonymous = await status(with_files, path)
    ada = await (await sign_in(with_files)).get(path)

    assert (anonymous, ada.status_code) == (200, 200)
    assert loads == []


async def test_the_pages_beside_the_files_are_guarded(with_files: Quart) -> None:
    assert await status(with_files, "/") == 401


async def test_a_file_that_does_not_exist_is_404(with_files: Quart) -> None:
    assert await status(with_files, "/static/nothing.css") == 404


async def test_a_view_that_is_only_named_static_is_guarded(app: Quart) -> None:
    pages = Blueprint("pages", "pages", url_prefix="/pages")

    @app.get("/salaries")
    async def static() -> str:
        return "secret"

    pages.add_url_rule("/salaries", view_func=static, endpoint="static")
    app.register_blueprint(pages)

    assert [await status(app, "/salaries"), await status(app, "/pages/salaries")] == [401, 401]


# --- login pages ----------------------------------------------------------------------------------------------


@pytest.fixture
def with_login(app: Quart) -> Quart:
    async def login() -> str:
        return "Sign in."

    app.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    app.add_url_rule("/", view_func=home)
    return app


@pytest.mark.parametrize("view", ["login", "/login", "/login?lang=de", "http://localhost/login"])
async def test_the_login_page_is_open_however_it_is_given(
    with_login: Quart, login_manager: LoginManager[User], view: str
) -> None:
    with_login.config["SERVER_NAME"] = "localhost"
    login_manager.login_view = view

    get, post = await status(with_login, "/login"), await status(with_login, "/login", "POST")

    assert (get, post) == (200, 200)


@pytest.mark.parametrize("view", ["login", "/login"])
async def test_other_pages_are_sent_to_the_login_page(
    with_login: Quart, login_manager: LoginManager[User], view: str
) -> None:
    login_manager.login_view = view

    response = await with_login.test_client().get("/")

    assert (response.status_code, response.headers["Location"]) == (302, "/login?next=%2F")


@pytest.mark.parametrize("path", ["/login/", "/login/x", "/LOGIN", "/xlogin", "/login%2f", "//login/"])
async def test_a_page_whose_url_looks_like_the_login_pages_is_guarded(
    app: Quart, login_manager: LoginManager[User], path: str
) -> None:
    login_manager.login_view = "/login"
    app.url_map.merge_slashes = False
    app.add_url_rule("/<path:rest>", view_func=lambda rest: rest, endpoint="rest")

    statuses = {await status(app, path), await status(app, "/other")}

    assert statuses == {302}


async def test_a_login_page_that_does_not_exist_opens_nothing(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "https://accounts.example/login"
    app.add_url_rule("/login", view_func=home)

    assert await status(app, "/login") == 302


async def status_at(app: Quart, host: str, path: str = "/login", method: str = "GET") -> int:
    response = await app.test_client().open(path, method=method, headers={"Host": host})
    return int(response.status_code)


def serve_login_of(app: Quart, **where: str) -> None:
    async def view() -> str:
        return str(where)

    for name, place in where.items():
        app.add_url_rule("/login", endpoint=name, view_func=view, **{name.partition("_")[0]: place})


@pytest.fixture
def hosts() -> Quart:
    """An app that serves one path by another view on each host."""
    app = Quart("hosts", host_matching=True, static_host="own.example")
    app.secret_key = "a key for tests, of more than 32 characters"
    serve_login_of(app, host="own.example", host_other="other.example")
    return app


@pytest.mark.parametrize(
    ("view", "statuses"),
    [
        ("/login", [302, 302]),  # of no host
        ("http://own.example/login", [200, 302]),
        ("https://OWN.example:443/login", [200, 302]),
        ("http://other.example/login", [302, 200]),
        ("host_other", [302, 200]),
        ("https://nobodys.example/login", [302, 302]),
        ("https://own.example:8443/login", [302, 302]),
    ],
)
async def test_with_host_matching_the_same_path_on_another_host_is_guarded(
    hosts: Quart, view: str, statuses: list[int]
) -> None:
    manager: LoginManager[User] = LoginManager(hosts, require_login=True)
    manager.user_loader(lambda _: None)
    manager.login_view = view
    manager.unauthorized_handler(lambda: redirect("/elsewhere"))

    assert [await status_at(hosts, host) for host in ("own.example", "other.example")] == statuses


@pytest.mark.parametrize(
    ("view", "statuses"),
    [("/login", [200, 302]), ("http://shop.own.example/login", [302, 200]), ("http://own.example/login", [200, 302])],
)
async def test_with_subdomain_matching_the_same_path_in_another_subdomain_is_guarded(
    view: str, statuses: list[int]
) -> None:
    app = Quart("subdomains", subdomain_matching=True)
    app.secret_key = "a key for tests, of more than 32 characters"
    app.config["SERVER_NAME"] = "own.example"
    serve_login_of(app, subdomain="", subdomain_shop="shop")
    manager: LoginManager[User] = LoginManager(app, require_login=True)
    manager.user_loader(lambda _: None)
    manager.login_view = view
    manager.unauthorized_handler(lambda: redirect("/elsewhere"))

    assert [await status_at(app, host) for host in ("own.example", "shop.own.example")] == statuses


async def test_another_view_of_the_login_pages_path_is_guarded(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/login"
    app.add_url_rule("/login", endpoint="login", view_func=home, methods=["GET", "POST"])
    app.add_url_rule("/login", endpoint="forget everything", view_func=home, methods=["DELETE"])

    statuses = [await status(app, "/login", method) for method in ("GET", "POST", "DELETE")]

    assert statuses == [200, 200, 302]


async def test_a_login_page_given_as_a_url_with_arguments_opens_no_other_arguments(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/help/how to sign in"
    app.add_url_rule("/help/<page>", view_func=lambda page: page, endpoint="help")

    assert [await status(app, f"/help/{page}") for page in ("how%20to%20sign%20in", "secrets")] == [200, 302]


async def test_a_login_page_of_an_app_below_a_path_is_open_there(
    with_login: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/shop/login"

    inside = await with_login.test_client().get("/shop/login", root_path="/shop")
    outside = await with_login.test_client().get("/login")

    assert (inside.status_code, outside.status_code) == (200, 302)


async def test_a_login_page_without_a_blueprint_may_be_given_relative_to_it(
    with_login: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = ".login"

    assert [await status(with_login, path) for path in ("/login", "/")] == [200, 302]


@pytest.fixture
def with_blueprints(with_login: Quart, login_manager: LoginManager[User]) -> Quart:
    """An app with a login page, and two blueprints, of which the shop has its own."""
    for name in ("shop", "blog"):
        blueprint = Blueprint(name, name, url_prefix=f"/{name}")
        blueprint.add_url_rule("/", view_func=home, endpoint="home")
        blueprint.add_url_rule("/login", view_func=home, endpoint="login")
        with_login.register_blueprint(blueprint)
    login_manager.login_view = "login"
    return with_login


@pytest.mark.parametrize("view", ["shop.login", "/shop/login", ".login"])
async def test_a_blueprints_login_page_is_open(
    with_blueprints: Quart, login_manager: LoginManager[User], view: str
) -> None:
    login_manager.blueprint_login_views = {"shop": view}
    paths = ["/login", "/shop/login", "/shop/", "/blog/login", "/"]

    statuses = {path: await status(with_blueprints, path) for path in paths}

    assert statuses == {"/login": 200, "/shop/login": 200, "/shop/": 302, "/blog/login": 302, "/": 302}


@pytest.mark.parametrize(
    ("path", "location"), [("/shop/", "/shop/login?next=%2Fshop%2F"), ("/blog/", "/login?next=%2Fblog%2F")]
)
async def test_a_blueprints_pages_are_sent_to_its_own_login_page(
    with_blueprints: Quart, login_manager: LoginManager[User], path: str, location: str
) -> None:
    login_manager.blueprint_login_views = {"shop": "shop.login"}

    response = await with_blueprints.test_client().get(path)

    assert response.headers["Location"] == location


async def test_the_login_page_loads_no_user(
    with_login: Quart, login_manager: LoginManager[User], sign_in: SignIn, loads: list[str]
) -> None:
    login_manager.login_view = "login"

    await (await sign_in(with_login)).get("/login")

    assert loads == []


# --- websockets -----------------------------------------------------------------------------------------------


async def first_word(app: Quart, client: Any, **headers: str) -> str:
    async with client.websocket("/live", headers=headers) as connection:
        return str(await connection.receive())


@pytest.fixture
def with_socket(app: Quart) -> Quart:
    @app.websocket("/live")
    async def live() -> None:
        await websocket.send(current_user.name)

    return app


async def test_a_websocket_is_guarded(with_socket: Quart, sign_in: SignIn) -> None:
    heard = await first_word(with_socket, await sign_in(with_socket))

    with pytest.raises(WebsocketResponseError) as refused:
        await first_word(with_socket, with_socket.test_client())

    assert heard == "Ada"
    assert refused.value.response.status_code == 401


async def test_a_websocket_is_never_sent_to_the_login_page(
    with_socket: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/login"

    with pytest.raises(WebsocketResponseError) as refused:
        await first_word(with_socket, with_socket.test_client())

    assert refused.value.response.status_code == 401


async def test_a_foreign_page_cannot_open_a_websocket(with_socket: Quart, sign_in: SignIn) -> None:
    with pytest.raises(WebsocketResponseError) as refused:
        await first_word(with_socket, await sign_in(with_socket), Origin="https://evil.example")

    assert refused.value.response.status_code == 403


async def test_an_exempt_websocket_is_open(app: Quart) -> None:
    @app.websocket("/live")
    @login_exempt
    async def live() -> None:
        await websocket.send("hello")

    assert await first_word(app, app.test_client()) == "hello"


# --- eager ----------------------------------------------------------------------------------------------------


async def test_an_eager_app_lets_every_view_use_plain_attributes(
    app: Quart, eager: None, sign_in: SignIn, loads: list[str]
) -> None:
    @app.get("/")
    async def name() -> str:
        return str(getattr(current_user, "name", "nobody"))

    ada = await (await sign_in(app)).get("/")
    anonymous = await app.test_client().get("/")

    assert await ada.get_data(as_text=True) == "Ada"
    assert await anonymous.get_data(as_text=True) == "nobody"
    assert loads == ["1"]


async def test_an_app_that_is_not_eager_does_not(
    app: Quart, login_manager: LoginManager[User], sign_in: SignIn, loads: list[str]
) -> None:
    login_manager.require_login = False

    @app.get("/")
    async def name() -> str:
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018
        return ""

    ada = await (await sign_in(app)).get("/")

    assert ada.status_code == 200
    assert loads == []


@pytest.mark.parametrize("endpoint", ["static", "shop.static"])
async def test_an_eager_app_loads_no_user_for_files(
    with_files: Quart, eager: None, sign_in: SignIn, loads: list[str], endpoint: str
) -> None:
    (rule,) = [rule for rule in with_files.url_map.iter_rules() if rule.endpoint == endpoint]
    client = await sign_in(with_files)

    response = await client.get(rule.rule.replace("<path:filename>", "style.css"))
    after_file = list(loads)
    await client.get("/")

    assert (response.status_code, after_file, loads) == (200, [], ["1"])


async def test_an_eager_app_loads_before_websockets(with_socket: Quart, eager: None, sign_in: SignIn) -> None:
    assert await first_word(with_socket, await sign_in(with_socket)) == "Ada"


async def test_an_eager_app_marks_every_answer_as_private(app: Quart, eager: None) -> None:
    app.add_url_rule("/", view_func=home)

    response = await app.test_client().get("/")

    assert response.headers["Cache-Control"] == "private, no-store"


async def test_an_eager_apps_loader_that_raises_is_an_error_of_that_request(
    app: Quart, eager: None, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    down = [ConnectionError("database down")]

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        for error in [*down]:
            down.clear()
            raise error
        return BY_ID.get(user_id)

    app.add_url_rule("/", view_func=home)
    client = await sign_in(app)

    assert [(await client.get("/")).status_code, (await client.get("/")).status_code] == [500, 200]


@pytest.mark.parametrize("ask", [lambda: None, lambda: current_user.name], ids=["silent", "asks"])
async def test_an_eager_and_guarded_app_loads_once(
    app: Quart, sign_in: SignIn, loads: list[str], login_manager: LoginManager[User], ask: Callable[[], Any]
) -> None:
    login_manager.eager = True

    @app.get("/")
    async def view() -> str:
        ask()
        return ""

    await (await sign_in(app)).get("/")

    assert loads == ["1"]


async def test_a_request_that_names_the_host_of_the_login_page_is_guarded(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    """The login page is elsewhere, and the `Host` header is whatever the client writes there."""
    login_manager.login_view = "https://sso.example/"
    app.add_url_rule("/", view_func=home)

    response = await app.test_client().get("/", headers={"Host": "sso.example"}, scheme="https")

    assert response.status_code == 302


async def test_the_page_that_asks_for_the_password_again_is_for_users(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.refresh_view = "/again"
    app.add_url_rule("/again", view_func=home)

    assert await status(app, "/again") == 401


async def test_an_exemption_is_not_inherited(app: Quart, login_manager: LoginManager[User]) -> None:
    @login_exempt
    class Public(MethodView):
        async def get(self) -> str:
            return "for everybody"

    class Admin(Public):
        pass

    app.add_url_rule("/public", view_func=Public.as_view("public"))
    app.add_url_rule("/admin", view_func=Admin.as_view("admin"))

    assert (await status(app, "/public"), await status(app, "/admin")) == (200, 401)


async def test_a_handler_that_returns_none_opens_no_guarded_view(app: Quart, login_manager: LoginManager[User]) -> None:
    """A forgotten `return`."""
    app.testing = False
    app.add_url_rule("/", view_func=home)

    @login_manager.unauthorized_handler
    async def refuse() -> None:
        pass

    assert await status(app, "/") == 500


@pytest.mark.parametrize("view", [".login", ".log"])
async def test_a_view_named_like_a_blueprint_is_not_its_login_page(
    with_blueprints: Quart, login_manager: LoginManager[User], view: str
) -> None:
    login_manager.blueprint_login_views = {"shop": view}
    with_blueprints.add_url_rule("/of-app", "shop", view_func=home)

    assert await status(with_blueprints, "/of-app") == 302
