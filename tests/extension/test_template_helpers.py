"""Helpers called by templates that read `current_user`: the user is loaded before the call."""

import functools
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from jinja2 import DictLoader
from quart import (
    Blueprint,
    Quart,
    get_flashed_messages,
    render_template,
    render_template_string,
    stream_template_string,
    url_for,
)
from users import ADA, BY_ID, GRACE, SignIn, User, Visit

from quartlogin import LoginManager, UserNotLoadedError, current_user, login_id, login_required, login_user

Render = Callable[..., Awaitable[str]]


def whoami() -> str:
    return str(current_user.name)


def is_mine(owner: str) -> bool:
    return bool(current_user.id == owner)


def signed(text: str) -> str:
    return f"{text}, {current_user.name}"


class Permissions:
    """An object that a context processor or the app's globals give to templates."""

    title = "Permissions"

    def name(self) -> str:
        return str(current_user.name)

    def of(self, owner: str) -> "Permissions":
        return self


@pytest.fixture
def helpers(app: Quart) -> Quart:
    """An app with a helper of every kind."""
    app.template_global("whoami")(whoami)
    app.template_filter("signed")(signed)
    app.template_test("mine")(is_mine)
    app.jinja_env.globals["permissions"] = Permissions()
    app.jinja_env.globals["tools"] = module_of_app()

    @app.context_processor
    async def inject() -> dict[str, Any]:
        return {"name_of_visitor": lambda: current_user.name, "rights": Permissions(), "year": 2026}

    return app


def module_of_app() -> types.ModuleType:
    module = types.ModuleType("tools_of_the_app")
    vars(module)["whoami"] = whoami
    return module


@pytest.fixture
def render(helpers: Quart, visit: Visit) -> Render:
    """Render a template's source for a visitor."""

    async def render(source: str, user_id: str | None = "1", **variables: Any) -> str:
        async with visit(user_id):
            return await render_template_string(source, **variables)

    return render


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("{{ whoami() }}", "Ada"),
        ("{% if whoami() == 'Ada' %}yes{% endif %}", "yes"),
        ("{% set name = whoami() %}{{ name }}", "Ada"),
        ("{% set ask = whoami %}{{ ask() }}", "Ada"),
        ("{% for n in [1, 2] %}{{ whoami() }}{% endfor %}", "AdaAda"),
        ("{% with name = whoami() %}{{ name }}{% endwith %}", "Ada"),
        ("{% macro m() %}{{ whoami() }}{% endmacro %}{{ m() }}", "Ada"),
        ("{% macro m(ask) %}{{ ask() }}{% endmacro %}{{ m(whoami) }}", "Ada"),
        ("{% macro m(name=whoami()) %}{{ name }}{% endmacro %}{{ m() }}", "Ada"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ whoami() }}{% endcall %}", "Ada"),
        ("{% block b %}{{ whoami() }}{% endblock %}", "Ada"),
        ("{{ {'ask': whoami}.ask() }}", "Ada"),
        ("{{ name_of_visitor() }}", "Ada"),
        ("{{ 'Yours'|signed }}", "Yours, Ada"),
        ("{% set word = 'Yours' %}{{ word|signed|upper }}", "YOURS, ADA"),
        ("{% filter signed %}Yours{% endfilter %}", "Yours, Ada"),
        ("{{ ['a']|map('signed')|join }}", "a, Ada"),
        ("{% set f = 'signed' %}{{ ['a']|map(f)|join }}", "a, Ada"),
        ("{{ '1' is mine }}", "True"),
        ("{{ '2' is not mine }}", "True"),
        ("{{ ['1', '2']|select('mine')|join }}", "1"),
        ("{{ ['1', '2']|reject('mine')|join }}", "2"),
        ("{{ [{'by': '1'}]|selectattr('by', 'mine')|list|length }}", "1"),
        ("{{ [{'by': '1'}]|rejectattr('by', 'mine')|list|length }}", "0"),
        ("{% for n in ['1', '2'] if n is mine %}{{ n }}{% endfor %}", "1"),
        ("{{ 'yes' if '1' is mine else 'no' }}", "yes"),
        ("{{ permissions.name() }}", "Ada"),
        ("{{ permissions.of('1').name() }}", "Ada"),
        ("{{ rights.name() }}", "Ada"),
        ("{{ rights['name']() }}", "Ada"),
        ("{{ tools.whoami() }}", "Ada"),
        ("{{ given() }}", "Ada"),
        ("{{ part() }}", "Ada"),
        ("{{ user.name }}", "Ada"),
        ("{{ ask() }}", "Ada"),
    ],
)
async def test_a_helper_of_the_apps_reads_the_user(render: Render, loads: list[str], source: str, page: str) -> None:
    async def ask() -> str:
        return str((await current_user).name)

    result = await render(source, given=whoami, part=functools.partial(whoami), user=current_user, ask=ask)

    assert result == page
    assert loads == ["1"]


async def test_a_helper_sees_an_anonymous_visitor(render: Render) -> None:
    assert await render("{{ anonymous() }}", None, anonymous=lambda: current_user.is_anonymous) == "True"


@pytest.mark.parametrize(
    "source",
    [
        "{{ url_for('static', filename='x') }}",
        "{{ get_flashed_messages()|length }}",
        "{{ config.get('TESTING') }}{{ request.args.get('q') }}{{ session.get('x') }}{{ g.get('x') }}",
        "{{ range(3)|list }}{{ dict(a=1) }}{{ lipsum(1) }}{{ cycler('a').next() }}{{ namespace(a=1).a }}",
        "{{ 'x'|upper|e|replace('X', 'y')|length }}{{ [1]|map('string')|join }}{{ [1]|select('odd')|list }}",
        "{{ 1 is odd }}{{ x is defined }}{{ 'a' is in 'ab' }}{{ 1 is eq 1 }}",
        "{{ title.upper() }}{{ year }}{{ rights.title }}{{ article.summary() }}{{ missing }}",
        "{{ url_of('static', filename='x') }}{{ messages() }}{{ length([1]) }}",
        "{% macro whoami() %}x{% endmacro %}{{ whoami() }}",
        "{% set whoami = 'x' %}{{ whoami }}",
        "{% for whoami in 'ab' %}{{ whoami }}{% endfor %}",
        "{% if false %}{{ whoami() }}{{ 'x'|signed }}{% endif %}",
        "{{ 'whoami' }}",
        "{{ {'whoami': 1}.whoami }}",
    ],
)
async def test_helpers_of_flask_jinja_and_quart_load_no_user(
    visit: Visit, helpers: Quart, loads: list[str], source: str
) -> None:
    class Article:
        def summary(self) -> str:
            return "short"

    helpers.add_url_rule("/static/<filename>", endpoint="static")
    given = {"url_of": url_for, "messages": get_flashed_messages, "length": len, "article": Article()}

    async with visit("1"):
        await render_template_string(source, title="Welcome", **given)

    assert loads == []


async def test_a_wrapper_of_the_apps_around_a_function_of_quarts_is_the_apps(render: Render) -> None:
    @functools.wraps(url_for)
    def dated_url_for(*args: Any, **kwargs: Any) -> str:
        return str(current_user.name)

    assert await render("{{ url_for('static') }}", url_for=dated_url_for) == "Ada"


async def test_a_replaced_global_of_quarts_is_the_apps(app: Quart, visit: Visit) -> None:
    app.template_global("url_for")(lambda endpoint: current_user.name)

    async with visit("1"):
        assert await render_template_string("{{ url_for('x') }}") == "Ada"


# --- what the answer says ------------------------------------------------------------------------------------


async def cache_control(app: Quart, client: Any, source: str, **variables: Any) -> str | None:
    @app.get("/")
    async def page() -> str:
        return await render_template_string(source, **variables)

    response = await client.get("/")
    assert response.status_code == 200
    return response.headers.get("Cache-Control")


async def test_loading_ahead_leaves_a_page_cacheable(helpers: Quart, sign_in: SignIn, loads: list[str]) -> None:
    client = await sign_in(helpers)

    said = await cache_control(helpers, client, "{{ greeting() }}", greeting=lambda: "Welcome, everybody.")

    assert (said, loads) == (None, ["1"])


async def test_a_helper_that_reads_the_user_makes_the_page_private(helpers: Quart, sign_in: SignIn) -> None:
    assert await cache_control(helpers, await sign_in(helpers), "{{ whoami() }}") == "private, no-store"


async def test_a_loader_that_asks_for_the_login_makes_no_page_private(
    helpers: Quart, sign_in: SignIn, login_manager: LoginManager[User]
) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        login_id()
        return BY_ID.get(user_id)

    assert await cache_control(helpers, await sign_in(helpers), "{{ greeting() }}", greeting=lambda: "") is None


async def test_a_login_that_comes_back_ahead_of_a_helper_makes_the_page_private(helpers: Quart) -> None:
    """Its answer carries the visitor's new cookies."""

    @helpers.post("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    @helpers.get("/")
    async def page() -> str:
        return await render_template_string("{{ greeting() }}", greeting=lambda: "")

    client = helpers.test_client()
    await client.post("/login")
    assert client.cookie_jar is not None
    client.cookie_jar.clear_session_cookies()
    response = await client.get("/")

    assert "session=" in response.headers["Set-Cookie"]
    assert response.headers["Cache-Control"] == "private, no-store"


# --- with the database down ----------------------------------------------------------------------------------


@pytest.fixture
def down(login_manager: LoginManager[User], loads: list[str]) -> None:
    @login_manager.user_loader
    async def load(user_id: str) -> User:
        raise ConnectionError("database down")


async def test_a_helper_that_does_not_read_the_user_works_with_the_database_down(render: Render, down: None) -> None:
    assert await render("{{ greeting() }}", greeting=lambda: "Welcome.") == "Welcome."


@pytest.mark.parametrize("source", ["{{ whoami() }}", "{{ ask() }}", "{{ greeting() }}{{ current_user.name }}"])
async def test_reading_raises_the_loaders_error(render: Render, down: None, source: str) -> None:
    async def ask() -> str:
        return str((await current_user).name)

    with pytest.raises(ConnectionError):
        await render(source, ask=ask, greeting=lambda: "")


@pytest.mark.parametrize("source", ["{{ visitor() }}", "{{ ask() }}", "{{ current_user.is_anonymous }}"])
async def test_the_error_page_is_drawn_for_an_anonymous_visitor(
    helpers: Quart, sign_in: SignIn, down: None, source: str
) -> None:
    async def ask() -> bool:
        return bool((await current_user).is_anonymous)

    helpers.template_global("visitor")(lambda: current_user.is_anonymous)
    helpers.template_global("ask")(ask)
    client = await sign_in(helpers)

    @helpers.get("/")
    async def home() -> str:
        return await render_template_string("{{ whoami() }}")

    @helpers.errorhandler(ConnectionError)
    async def sorry(error: ConnectionError) -> tuple[str, int]:
        return await render_template_string(source), 503

    response = await client.get("/")

    assert (response.status_code, await response.get_data(as_text=True)) == (503, "True")


# --- several templates ---------------------------------------------------------------------------------------


async def test_a_macro_that_is_imported_calls_helpers_for_each_visitor(helpers: Quart, visit: Visit) -> None:
    helpers.jinja_loader = DictLoader(
        {
            "page": "{% from 'macros' import name %}{{ name() }}",
            "macros": "{% macro name() %}{{ whoami() }}{{ '!'|signed }}{% endmacro %}",
        }
    )

    async with visit("1"):
        first = await render_template("page")
    async with visit("2"):
        second = await render_template("page")

    assert (first, second) == ("Ada!, Ada", "Grace!, Grace")


@pytest.mark.parametrize("knows", ["knows nobody yet", "knows the user"])
@pytest.mark.parametrize("source", ["{% import 'nav' as nav %}{{ nav.who }}", "{% include 'nav' without context %}"])
async def test_output_that_jinja_caches_never_shows_one_visitor_to_another(
    helpers: Quart, visit: Visit, source: str, knows: str
) -> None:
    helpers.jinja_loader = DictLoader({"page": source, "nav": "{% set who = whoami() %}{{ who }}"})

    async with visit("1"):
        if knows == "knows the user":
            await current_user
        with pytest.raises(UserNotLoadedError, match="all visitors"):
            await render_template("page")


@pytest.mark.parametrize("source", ["{{ 'Yours'|signed }}", "{{ '1' is mine }}", "{% if '1' is mine %}x{% endif %}"])
async def test_what_jinja_computes_when_it_compiles_is_no_visitors(helpers: Quart, visit: Visit, source: str) -> None:
    """Jinja calls filters and tests of something constant once, and keeps what they gave in the compiled template."""
    helpers.jinja_loader = DictLoader({"page": source})
    pages = []

    for user_id in ("1", "2"):
        async with visit(user_id):
            await current_user
            pages.append(await render_template("page"))

    assert pages[0] != pages[1]


async def test_a_blueprints_context_processor_and_helpers_read_the_user(app: Quart, sign_in: SignIn) -> None:
    shop = Blueprint("shop", "shop", url_prefix="/shop")
    shop.app_template_filter("signed")(signed)
    shop.app_template_global("whoami")(whoami)

    @shop.context_processor
    async def inject() -> dict[str, Any]:
        return {"basket_of": lambda: current_user.name, "rights": Permissions()}

    @shop.get("/")
    async def page() -> str:
        return await render_template_string("{{ basket_of() }}{{ rights.name() }}{{ 'x'|signed }}{{ whoami() }}")

    app.register_blueprint(shop)

    response = await (await sign_in(app)).get("/shop/")

    assert await response.get_data(as_text=True) == "AdaAdax, AdaAda"


async def test_helpers_registered_before_init_app_read_the_user(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str], sign_in: SignIn
) -> None:
    bare_app.template_global("whoami")(whoami)
    bare_app.template_filter("signed")(signed)
    login_manager.init_app(bare_app)

    @bare_app.get("/")
    async def page() -> str:
        return await render_template_string("{{ whoami() }}{{ 'x'|signed }}")

    response = await (await sign_in(bare_app)).get("/")

    assert await response.get_data(as_text=True) == "Adax, Ada"


# --- streams -------------------------------------------------------------------------------------------------


async def test_a_streamed_template_calls_helpers_if_its_view_has_loaded_the_user(
    helpers: Quart, sign_in: SignIn
) -> None:
    @helpers.get("/")
    @login_required
    async def page() -> Any:
        return await stream_template_string("{{ whoami() }}{{ 'x'|signed }}")

    response = await (await sign_in(helpers)).get("/")

    assert await response.get_data(as_text=True) == "Adax, Ada"
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_a_helper_of_a_streamed_template_that_caches_may_keep_is_refused_the_user(
    helpers: Quart, sign_in: SignIn, loads: list[str]
) -> None:
    refused: list[str] = []

    def ask() -> str:
        try:
            return str(current_user.name)
        except UserNotLoadedError:
            refused.append("refused")
            return "nobody"

    @helpers.get("/")
    async def page() -> Any:
        return await stream_template_string("{{ ask() }}{{ greeting() }}", ask=ask, greeting=lambda: "!")

    response = await (await sign_in(helpers)).get("/")

    assert await response.get_data(as_text=True) == "nobody!"
    assert (refused, loads) == (["refused"], [])


async def test_helpers_in_a_def_view_read_the_user(helpers: Quart, sign_in: SignIn) -> None:
    @helpers.get("/")
    def page() -> str:
        return str(helpers.jinja_env.from_string("{{ whoami() }}{{ 'x'|signed }}").render())

    response = await (await sign_in(helpers)).get("/")

    assert await response.get_data(as_text=True) == "Adax, Ada"


async def test_ten_helpers_load_once(render: Render, loads: list[str]) -> None:
    assert await render("{{ whoami() }}{{ 'x'|signed }}{{ current_user.name }}" * 10) == "Adax, AdaAda" * 10
    assert loads == ["1"]


async def test_a_template_after_login_user_shows_helpers_the_new_user(helpers: Quart, visit: Visit) -> None:
    async with visit("1"):
        before = await render_template_string("{{ whoami() }}")
        await login_user(GRACE)
        after = await render_template_string("{{ whoami() }}")

    assert (before, after) == ("Ada", "Grace")


async def test_a_helper_outside_a_request_gets_none(helpers: Quart) -> None:
    async with helpers.app_context():
        assert await render_template_string("{{ is_none() }}", is_none=lambda: current_user == None) == "True"  # noqa: E711
