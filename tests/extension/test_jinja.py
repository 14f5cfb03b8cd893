"""`current_user` in templates: loaded when a template first names it, and never another visitor's."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, FileSystemBytecodeCache
from jinja2.compiler import CodeGenerator
from quart import (
    Quart,
    get_flashed_messages,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
    websocket,
)
from quart.templating import Environment as QuartEnvironment
from users import ADA, BY_ID, GRACE, Receive, SignIn, User, Visit

from quartlogin import LoginManager, UserNotLoadedError, current_user, login_required, login_user

Templates = Callable[..., None]
Render = Callable[..., Awaitable[str]]


@pytest.fixture
def templates(app: Quart) -> Templates:
    """Give the app's templates by name."""

    def templates(**sources: str) -> None:
        app.jinja_loader = DictLoader(sources)

    return templates


@pytest.fixture
def render(visit: Visit) -> Render:
    """Render a template's source for a visitor."""

    async def render(source: str, user_id: str | None = "1", **variables: Any) -> str:
        async with visit(user_id):
            return await render_template_string(source, **variables)

    return render


# --- loaded when named ----------------------------------------------------------------------------------------


async def test_a_template_that_names_the_user_loads_the_user(render: Render, loads: list[str]) -> None:
    assert await render("Hello, {{ current_user.name }}!") == "Hello, Ada!"
    assert loads == ["1"]


async def test_a_template_that_names_the_user_ten_times_loads_once(render: Render, loads: list[str]) -> None:
    assert await render("{{ current_user.name }}" * 10) == "Ada" * 10
    assert loads == ["1"]


@pytest.mark.parametrize(
    "source",
    [
        "Hello!",
        "{{ user }}",
        "{{ 'current_user' }}",
        "{# {{ current_user }} #}",
        "{% raw %}{{ current_user }}{% endraw %}",
        "{% if false %}{{ current_user.name }}{% endif %}",
        "{% macro unused() %}{{ current_user.name }}{% endmacro %}",
        "{{ 'x' or current_user.name }}",
        "{{ {'current_user': 1}.current_user }}",
        "{% set current_user = 'x' %}{{ current_user }}",
    ],
)
async def test_a_template_that_does_not_name_the_user_loads_no_user(
    render: Render, loads: list[str], source: str
) -> None:
    await render(source)

    assert loads == []


async def test_an_anonymous_visitor_is_anonymous_in_templates(render: Render) -> None:
    assert await render("{{ current_user.is_anonymous }}", None) == "True"


async def test_a_template_after_login_user_sees_the_new_user(visit: Visit) -> None:
    async with visit("1"):
        before = await render_template_string("{{ current_user.name }}")
        await login_user(GRACE)
        after = await render_template_string("{{ current_user.name }}")

    assert (before, after) == ("Ada", "Grace")


async def test_a_name_is_escaped_like_any_other(visit: Visit, login_manager: LoginManager[User]) -> None:
    login_manager.user_loader(lambda _: User("1", "<b>Ada</b>"))

    async with visit("1"):
        page = await render_template_string("{{ current_user.name }}")

    assert page == "&lt;b&gt;Ada&lt;/b&gt;"


async def test_a_template_outside_a_request_sees_none(app: Quart) -> None:
    async with app.app_context():
        page = await render_template_string("{{ current_user is none }}")

    assert page == "True"


# --- what the name means --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("{% set current_user = 'x' %}{{ current_user }}", "x"),
        ("{% set current_user = current_user.name %}{{ current_user }}", "Ada"),
        ("{% set current_user %}x{% endset %}{{ current_user }}", "x"),
        ("{% set current_user, other = 'x', 'y' %}{{ current_user }}", "x"),
        ("{% for current_user in 'ab' %}{{ current_user }}{% endfor %}", "ab"),
        ("{% for current_user in 'ab' %}{{ current_user }}{% endfor %}{{ current_user.name }}", "abAda"),
        ("{% for current_user, n in [('x', 1)] %}{{ current_user }}{% endfor %}", "x"),
        ("{% for n in 'ab' %}{{ current_user.name }}{% endfor %}", "AdaAda"),
        ("{% with current_user = 'x' %}{{ current_user }}{% endwith %}{{ current_user.name }}", "xAda"),
        ("{% with name = current_user.name %}{{ name }}{% endwith %}", "Ada"),
        ("{% macro m(current_user) %}{{ current_user }}{% endmacro %}{{ m('x') }}", "x"),
        ("{% macro m(current_user) %}{{ current_user }}{% endmacro %}{{ m('x') }}{{ current_user.name }}", "xAda"),
        ("{% macro m(current_user='x') %}{{ current_user }}{% endmacro %}{{ m() }}", "x"),
        ("{% macro m(user=current_user) %}{{ user.name }}{% endmacro %}{{ m() }}", "Ada"),
        ("{% macro current_user() %}x{% endmacro %}{{ current_user() }}", "x"),
        (
            "{% macro m() %}{{ caller('x') }}{% endmacro %}{% call(current_user) m() %}{{ current_user }}{% endcall %}",
            "x",
        ),
        ("{% block b scoped %}{{ current_user.name }}{% endblock %}", "Ada"),
        ("{% if true %}{% set current_user = 'x' %}{% endif %}{{ current_user }}", "x"),
        ("{% if false %}{% set current_user = 'x' %}{% endif %}{{ current_user.name }}", "Ada"),
        ("{{ {'current_user': 'x'}.current_user }}", "x"),
        ("{{ {'current_user': 'x'}['current_user'] }}", "x"),
        ("{% set n = namespace(current_user='x') %}{{ n.current_user }}", "x"),
        ("{% set n = namespace() %}{% set n.current_user = 'x' %}{{ n.current_user }}", "x"),
        ("{% macro m() %}{{ kwargs.current_user }}{% endmacro %}{{ m(current_user='x') }}", "x"),
    ],
)
async def test_a_name_of_the_templates_own_keeps_its_meaning(render: Render, source: str, page: str) -> None:
    assert await render(source) == page


@pytest.mark.parametrize("value", ["x", "", 0, None, False, ADA], ids=repr)
async def test_a_variable_given_by_the_view_keeps_its_meaning(render: Render, loads: list[str], value: object) -> None:
    page = await render("{{ current_user }}", "2", current_user=value)

    assert page == await render("{{ other }}", "2", other=value)
    assert loads == []


async def test_the_proxy_given_by_the_view_is_the_user(render: Render) -> None:
    assert await render("{{ current_user.name }}", current_user=current_user) == "Ada"


async def test_a_context_processors_current_user_keeps_its_meaning(app: Quart, render: Render) -> None:
    app.context_processor(lambda: {"current_user": "x"})

    assert await render("{{ current_user }}") == "x"


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("{{ current_user is defined }}", "True"),
        ("{{ current_user is undefined }}", "False"),
        ("{{ current_user is none }}", "False"),
        ("{{ current_user is mapping }}", "False"),
        ("{{ current_user is sameas ada }}", "True"),
        ("{{ current_user is eq ada }}", "True"),
        ("{{ current_user is in [ada] }}", "True"),
        ("{{ current_user == ada }}", "True"),
        ("{{ ada == current_user }}", "True"),
        ("{{ current_user != ada }}", "False"),
        ("{{ current_user in [ada] }}", "True"),
        ("{{ ada in [current_user] }}", "True"),
        ("{{ current_user is a_user }}", "True"),
        ("{{ 'in' if current_user.is_authenticated else 'out' }}", "in"),
        ("{% if current_user %}in{% endif %}", "in"),
        ("{% if not current_user %}out{% else %}in{% endif %}", "in"),
        ("{% if current_user.is_anonymous %}out{% elif current_user == ada %}Ada{% endif %}", "Ada"),
        ("{{ current_user['name'] }}", "Ada"),
        ("{{ current_user|attr('name') }}", "Ada"),
        ("{{ current_user|kind }}", "User"),
        ("{{ [current_user]|map('kind')|join }}", "User"),
        ("{{ [current_user]|map(attribute='name')|join }}", "Ada"),
        ("{{ current_user|default('x')|kind }}", "User"),
        ("{{ kind(current_user) }}", "User"),
        ("{{ kind(user=current_user) }}", "User"),
        ("{{ kind(*[current_user]) }}", "User"),
        ("{{ kind(**{'user': current_user}) }}", "User"),
        ("{{ async_kind(current_user) }}", "User"),
        ("{{ current_user|async_kind }}", "User"),
        ("{{ current_user.get_id() }}", "1"),
        ("{{ current_user.name ~ '!' }}", "Ada!"),
        ("{{ '%s'|format(current_user.name) }}", "Ada"),
        ("{{ (current_user, 1)[0].name }}", "Ada"),
        ("{{ {'who': current_user}.who.name }}", "Ada"),
        ("{{ {current_user.name: 1} }}", "{&#39;Ada&#39;: 1}"),
        ("{% filter upper %}{{ current_user.name }}{% endfilter %}", "ADA"),
        ("{% for u in [ada] if u == current_user %}{{ u.name }}{% endfor %}", "Ada"),
        ("{% for letter in current_user.name %}{{ letter }}.{% endfor %}", "A.d.a."),
        ("{% for n in [[1]] recursive %}{{ current_user.name }}{{ loop(n) if n != 1 }}{% endfor %}", "AdaAda"),
        ("{% macro m() %}{{ current_user.name }}{% endmacro %}{{ m() }}{{ m() }}", "AdaAda"),
        ("{% macro m(user) %}{{ user|kind }}{% endmacro %}{{ m(current_user) }}", "User"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ current_user.name }}{% endcall %}", "<Ada>"),
        ("{% macro m() %}{{ caller(current_user) }}{% endmacro %}{% call(u) m() %}{{ u|kind }}{% endcall %}", "User"),
        ("{% set user = current_user %}{{ user|kind }}", "User"),
        ("{% set page %}{{ current_user.name }}{% endset %}{{ page }}", "Ada"),
        ("{% autoescape false %}{{ current_user.name }}{% endautoescape %}", "Ada"),
        ("{% block b %}{{ current_user.name }}{% endblock %}{{ self.b() }}", "AdaAda"),
    ],
)
async def test_whatever_is_done_with_the_name_is_done_with_the_real_object(
    app: Quart, render: Render, source: str, page: str
) -> None:
    def kind(user: object) -> str:
        return type(user).__name__

    async def async_kind(user: object) -> str:
        return type(user).__name__

    app.template_filter("kind")(kind)
    app.template_filter("async_kind")(async_kind)
    app.template_test("a_user")(lambda user: type(user) is User)

    assert await render(source, ada=ADA, kind=kind, async_kind=async_kind) == page


# --- templates of several files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("{% import 'macros' as m %}{{ m.name() }}", "Ada"),
        ("{% from 'macros' import name %}{{ name() }}", "Ada"),
        ("{% from 'macros' import name as n %}{{ n() }}{{ n() }}", "AdaAda"),
        ("{% import 'macros' as m with context %}{{ m.name() }}", "Ada"),
        ("{% from 'macros' import name with context %}{{ name() }}", "Ada"),
        ("{% import 'macros' as m %}{% call m.around() %}{{ current_user.name }}{% endcall %}", "<Ada>"),
        ("{% import 'macros' as m %}{{ m.of(current_user) }}", "Ada"),
        ("{% import 'macros' as m %}{{ m.by_default() }}", "Ada"),
        ("{% import 'macros' as current_user %}{{ current_user.name() }}", "Ada"),
        ("{% from 'macros' import plain as current_user %}{{ current_user() }}", "x"),
        ("{% import 'naming' as m with context %}{{ m.who }}", "Ada"),
        ("{% from 'naming' import who with context %}{{ who }}", "Ada"),
        ("{% include 'part' %}", "Ada"),
        ("{% include 'part' with context %}", "Ada"),
        ("{% include ['missing', 'part'] %}", "Ada"),
        ("{% include 'missing' ignore missing %}", ""),
        ("{% set current_user = 'x' %}{% include 'whole' %}", "x"),
        ("{% for current_user in 'ab' %}{% include 'whole' %}{% endfor %}", "ab"),
        ("{% extends 'layout' %}", "[Ada]"),
        ("{% extends 'layout' %}{% block body %}{{ current_user.get_id() }}{{ super() }}{% endblock %}", "[1Ada]"),
        ("{% include 'plain' without context %}", "x"),
        ("{% include 'macro_only' without context %}", ""),
    ],
)
async def test_a_template_of_several_files_sees_the_user(
    templates: Templates, visit: Visit, source: str, page: str
) -> None:
    templates(
        page=source,
        macros=(
            "{% macro name() %}{{ current_user.name }}{% endmacro %}"
            "{% macro around() %}<{{ caller() }}>{% endmacro %}"
            "{% macro of(user) %}{{ user.name }}{% endmacro %}"
            "{% macro by_default(user=current_user) %}{{ user.name }}{% endmacro %}"
            "{% macro plain() %}x{% endmacro %}"
        ),
        naming="{% set who = current_user.name %}",
        part="{{ current_user.name }}",
        whole="{{ current_user }}",
        plain="x",
        macro_only="{% macro name() %}{{ current_user.name }}{% endmacro %}",
        layout="[{% block body %}{{ current_user.name }}{% endblock %}]",
    )

    async with visit("1"):
        assert await render_template("page") == page


@pytest.mark.parametrize(
    "source",
    [
        "{% import 'macros' as m %}{{ m.name() }}",
        "{% from 'macros' import name %}{{ name() }}",
        "{% import 'macros' as m %}{{ m.by_default() }}",
        "{% import 'macros' as m with context %}{{ m.name() }}",
        "{% import 'naming' as m with context %}{{ m.who }}",
        "{% include 'part' %}",
        "{% extends 'layout' %}",
    ],
)
async def test_each_visitor_sees_the_own_name(templates: Templates, visit: Visit, source: str) -> None:
    templates(
        page=source,
        macros=(
            "{% macro name() %}{{ current_user.name }}{% endmacro %}"
            "{% macro by_default(user=current_user) %}{{ user.name }}{% endmacro %}"
        ),
        naming="{% set who = current_user.name %}",
        part="{{ current_user.name }}",
        layout="{% block body %}{{ current_user.name }}{% endblock %}",
    )

    async with visit("1"):
        first = await render_template("page")
    async with visit("2"):
        second = await render_template("page")

    assert (first, second) == ("Ada", "Grace")


@pytest.mark.parametrize("knows", ["knows nobody yet", "knows the user"])
@pytest.mark.parametrize(
    "source",
    [
        "{% include 'part' without context %}",
        "{% include ['missing', 'part'] without context %}",
        "{% import 'naming' as n %}{{ n.who }}",
        "{% from 'naming' import who %}{{ who }}",
        "{% import 'keeping' as k %}{{ k.user.name }}",
        "{% import 'part' as p %}{{ p }}",
        "{% import 'calling' as c %}{{ c }}",
        "{% include 'calling' without context %}",
        "{% import 'including' as i %}{{ i }}",
        "{% import 'including_without' as i %}{{ i }}",
        "{% import 'extending' as e %}{{ e }}",
        "{% import 'importing' as i %}{{ i.who }}",
        "{% import 'importing_with' as i %}{{ i.who() }}",
        "{% include 'importing_with' without context %}",
        "{% from 'importing_names_with' import show %}{{ show() }}",
        "{% import 'using_macros' as u %}{{ u }}",
        "{% import 'using_macros_with' as u %}{{ u }}",
    ],
)
async def test_a_template_whose_output_jinja_caches_cannot_name_the_user(
    templates: Templates, visit: Visit, source: str, knows: str
) -> None:
    """Jinja evaluates it once: whatever it says to the first visitor it says to all of them."""
    templates(
        page={"knows nobody yet": source, "knows the user": "{{ current_user.name }}" + source}[knows],
        part="{{ current_user.name }}",
        naming="{% set who = current_user.name %}",
        keeping="{% set user = current_user %}",
        macros="{% macro name() %}{{ current_user.name }}{% endmacro %}",
        calling="{% macro name() %}{{ current_user.name }}{% endmacro %}{{ name() }}",
        including="{% include 'part' %}",
        including_without="{% include 'part' without context %}",
        layout="{% block body %}{% endblock %}",
        extending="{% extends 'layout' %}{% block body %}{{ current_user.name }}{% endblock %}",
        importing="{% from 'naming' import who %}",
        importing_with=("{% import 'naming' as n with context %}{% macro who() %}{{ n.who }}{% endmacro %}{{ n.who }}"),
        importing_names_with=("{% from 'naming' import who with context %}{% macro show() %}{{ who }}{% endmacro %}"),
        using_macros="{% import 'macros' as m %}{{ m.name() }}",
        using_macros_with="{% import 'macros' as m with context %}{{ m.name() }}",
    )

    async with visit("1"):
        with pytest.raises(UserNotLoadedError, match="with context"):
            await render_template("page")
    async with visit("2"):
        with pytest.raises(UserNotLoadedError, match="with context"):
            await render_template("page")


async def test_a_refused_template_does_not_spoil_the_next_one(templates: Templates, visit: Visit) -> None:
    templates(page="{% include 'part' without context %}", part="{{ current_user.name }}")

    async with visit("1"):
        with pytest.raises(UserNotLoadedError):
            await render_template("page")
        page = await render_template("part")

    assert page == "Ada"


# --- the app's environment ------------------------------------------------------------------------------------


async def test_an_environment_that_exists_already_is_equipped(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str]
) -> None:
    bare_app.jinja_loader = DictLoader({"page": "{{ current_user.name }}"})
    bare_app.jinja_env.get_template("page")

    login_manager.init_app(bare_app)

    async with bare_app.test_request_context("/"):
        await login_user(ADA)
        assert await render_template("page") == "Ada"
    assert loads == []


async def test_the_environment_that_exists_already_loads_lazily(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str], sign_in: SignIn
) -> None:
    bare_app.jinja_env.globals["before"] = True
    login_manager.init_app(bare_app)

    @bare_app.get("/")
    async def home() -> str:
        return await render_template_string("{{ before }} {{ current_user.name }}")

    response = await (await sign_in(bare_app)).get("/")

    assert await response.get_data(as_text=True) == "True Ada"


def test_setting_up_does_not_build_the_environment(app: Quart) -> None:
    assert "jinja_env" not in vars(app)


async def test_jinja_options_set_after_the_manager_are_honoured(app: Quart, render: Render) -> None:
    app.jinja_options = {"variable_start_string": "<<", "variable_end_string": ">>"}

    assert await render("<< current_user.name >>") == "Ada"


async def test_an_environment_class_of_the_apps_own_is_kept(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str]
) -> None:
    class NegativeGenerator(CodeGenerator):
        def visit_Neg(self, node: Any, frame: Any) -> None:  # noqa: N802 -- Jinja's name
            self.write("'below '")

    class NegativeEnvironment(QuartEnvironment):
        code_generator_class = NegativeGenerator

    bare_app.jinja_environment = NegativeEnvironment
    login_manager.init_app(bare_app)

    async with bare_app.test_request_context("/"):
        await login_user(ADA)
        page = await render_template_string("{{ -x }}{{ current_user.name }}")

    assert page == "below Ada"
    assert isinstance(bare_app.jinja_env, NegativeEnvironment)


async def test_two_apps_of_one_environment_class_stay_apart(
    make_app: Callable[..., Quart], loads: list[str], login_manager: LoginManager[User]
) -> None:
    with_login, without = make_app("with"), make_app("without")
    login_manager.init_app(with_login)

    async with without.test_request_context("/"):
        assert await render_template_string("{{ current_user is defined }}") == "False"


async def test_one_manager_serves_each_app_of_a_factory(
    make_app: Callable[..., Quart], loads: list[str], login_manager: LoginManager[User], sign_in: SignIn
) -> None:
    apps = [make_app("first"), make_app("second")]
    login_manager.init_app(apps[0])
    login_manager.init_app(apps[1])

    async with apps[0].test_request_context("/"):
        await login_user(ADA)
        first = await render_template_string("{{ current_user.name }}")
    async with apps[1].test_request_context("/"):
        await login_user(GRACE)
        second = await render_template_string("{{ current_user.name }}")

    assert (first, second) == ("Ada", "Grace")


@pytest.mark.parametrize("first", ["the plain environment", "the app"])
async def test_a_bytecode_cache_is_shared_with_a_plain_environment(
    app: Quart, visit: Visit, tmp_path: Path, first: str
) -> None:
    """What one compiled must not be run by the other."""
    (tmp_path / "page").write_text("{{ current_user.name }}")
    app.template_folder = str(tmp_path)
    app.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(tmp_path))}
    plain = Environment(
        loader=app.jinja_loader,
        enable_async=True,
        bytecode_cache=FileSystemBytecodeCache(str(tmp_path)),
        autoescape=True,
    )

    async def by_the_app() -> str:
        async with visit("1"):
            return await render_template("page")

    async def by_the_plain_environment() -> str:
        return await plain.get_template("page").render_async(current_user=GRACE)

    renderings = {"the app": (by_the_app, "Ada"), "the plain environment": (by_the_plain_environment, "Grace")}
    earlier, expected_earlier = renderings.pop(first)
    [(later, expected_later)] = renderings.values()

    assert await earlier() == expected_earlier
    assert await later() == expected_later


async def test_a_bytecode_cache_is_used(app: Quart, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("{{ current_user.name }}")
    cache = FileSystemBytecodeCache(str(tmp_path), "%s.cache")
    app.template_folder = str(tmp_path)
    app.jinja_options = {"bytecode_cache": cache}

    async with visit("1"):
        await render_template("page")
        written = list(tmp_path.glob("*.cache"))
        app.jinja_env.cache.clear()
        page = await render_template("page")
    app.jinja_env.bytecode_cache.clear()

    assert len(written) == 1
    assert page == "Ada"
    assert list(tmp_path.glob("*.cache")) == []


async def test_an_overlay_of_the_environment_sees_the_user(app: Quart, visit: Visit) -> None:
    async with visit("1"):
        overlay = app.jinja_env.overlay(trim_blocks=True)
        page = await overlay.from_string("{{ current_user.name }}").render_async()

    assert page == "Ada"


async def test_an_overlay_rejects_cached_output_too(app: Quart, visit: Visit) -> None:
    loader = DictLoader({"part": "{{ current_user.name }}"})

    async with visit("1"):
        overlay = app.jinja_env.overlay(loader=loader)
        with pytest.raises(UserNotLoadedError):
            await overlay.from_string("{% include 'part' without context %}").render_async()


@pytest.mark.parametrize("way", ["constructor", "init_app"])
async def test_templates_can_be_left_alone(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str], way: str
) -> None:
    set_up = {
        "constructor": lambda: LoginManager(bare_app, add_context_processor=False),
        "init_app": lambda: login_manager.init_app(bare_app, add_context_processor=False),
    }
    set_up[way]()

    async with bare_app.test_request_context("/"):
        page = await render_template_string("{{ current_user is defined }}")

    assert page == "False"
    assert bare_app.jinja_environment is QuartEnvironment


# --- streamed templates ---------------------------------------------------------------------------------------


async def test_a_template_streamed_after_await_sees_the_user(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    async def home() -> Any:
        await current_user
        return await stream_template_string("Hello, {{ current_user.name }}!")

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Hello, Ada!"
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_a_template_streamed_by_a_guarded_view_sees_the_user(
    app: Quart, sign_in: SignIn, templates: Templates
) -> None:
    templates(page="Hello, {{ current_user.name }}!")

    @app.get("/")
    @login_required
    async def home() -> Any:
        return await stream_template("page")

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Hello, Ada!"
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_a_template_streamed_without_await_never_names_a_user(
    app: Quart, sign_in: SignIn, loads: list[str]
) -> None:
    """Its headers are gone by then, and let caches keep the page."""
    errors: list[Exception] = []

    @app.get("/")
    async def home() -> Any:
        stream = await stream_template_string("Hello, {{ current_user.name }}!")

        async def watched() -> Any:
            try:
                async for part in stream:
                    yield part
            except UserNotLoadedError as error:
                errors.append(error)

        return watched()

    response = await (await sign_in(app)).get("/")

    assert "Ada" not in await response.get_data(as_text=True)
    assert ["`await current_user`" in str(error) for error in errors] == [True]
    assert loads == []


async def test_a_template_streamed_without_naming_the_user_needs_no_await(app: Quart) -> None:
    @app.get("/")
    async def home() -> Any:
        return await stream_template_string("Hello, {{ name }}!", name="world")

    response = await app.test_client().get("/")

    assert await response.get_data(as_text=True) == "Hello, world!"
    assert "Cache-Control" not in response.headers


# --- in the company of other things ---------------------------------------------------------------------------


async def test_flashed_messages_and_the_user_stand_side_by_side(app: Quart, visit: Visit) -> None:
    async with visit("1"):
        page = await render_template_string(
            "{{ current_user.name }}{{ get_flashed_messages()|length }}{{ request.path }}{{ session._user_id }}"
        )
        messages = get_flashed_messages()

    assert page == "Ada0/1"
    assert messages == []


async def test_a_websocket_renders_for_its_user(app: Quart, sign_in: SignIn, receive: Receive) -> None:
    @app.websocket("/live")
    async def live() -> None:
        await websocket.send(await render_template_string("{{ current_user.name }}"))

    cookie = next(iter((await sign_in(app)).cookie_jar)).value
    answer = await receive(app, f"session={cookie}")

    assert answer == BY_ID["1"].name
