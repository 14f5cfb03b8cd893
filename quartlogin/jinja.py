"""Jinja integration: a template loads `current_user` when it first names it, not before.

Templates of an async environment are compiled to coroutines, so the name `current_user` can be compiled to an `await`.
A template that does not name it costs nothing, and filters, tests, macros and calls get the real user object.

The app's own globals, filters, tests and functions may read it as well, and are called in the event loop's thread,
where nothing can be loaded any more: the user is loaded before they are called. That alone does not mark the response.
"""

import warnings
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

from jinja2 import BytecodeCache, Environment, Template, nodes
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.idtracking import VAR_LOAD_PARAMETER, VAR_LOAD_UNDEFINED
from quart import Quart, current_app, g, request, session, websocket
from werkzeug.local import LocalProxy

from .current_user import CurrentUser, current_user, login_fresh
from .request_user import is_after_failure, is_rendering, load_ahead, output_is_kept, user_for_template

NAME: Final = "current_user"
#: Names that compiled templates find on the environment.
_USER: Final = "quartlogin_user"
_PROXY: Final = "quartlogin_proxy"
_AHEAD: Final = "quartlogin_load_ahead"
_OF_LIBRARY: Final = "quartlogin_is_of_library"
_KNOWN: Final = "quartlogin_known"
_OF_APP: Final = "quartlogin_is_of_app"
#: Names that Quart gives each template.
_FROM_QUART: Final = ("g", "request", "session")
#: Changes with the code that templates are compiled to: a cache may contain an earlier release's.
_SALT: Final = "quartlogin-3"


def install(app: Quart) -> None:
    """Make `current_user` known to the app's templates, even if its environment exists already."""
    if any(other.singleton for other in app.extensions.get("QUART_AUTH", [])):
        warnings.warn(
            "A QuartAuth on this app gives templates a current_user of its own, which goes before quartlogin's: "
            "write QuartAuth(app, singleton=False), or LoginManager(app, add_context_processor=False).",
            stacklevel=4,
        )
    names = _names_from_processors(app)
    if "jinja_env" in vars(app):  # a cached property: building it here would freeze app.jinja_options
        _equip(app.jinja_env, names)
        return

    chosen: Any = app.jinja_environment  # the app may have its own class

    class LoginEnvironment(chosen):  # type: ignore[misc]  # known only now
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            _equip(self, names)

    app.jinja_environment = LoginEnvironment


def _equip(environment: Environment, names: set[str]) -> None:
    generator = environment.code_generator_class
    template = environment.template_class

    def is_of_app(name: str, value: Any) -> bool:
        """Tell whether an object is a global of the app, or comes from a context processor."""
        return (name in names or environment.globals.get(name) is value) and not is_of_library(value)

    known: dict[int, Any] = {}  # Quart's and Jinja's globals, each of which pages call several times

    def is_known_or_of_library(value: Any) -> bool:
        if not is_of_library(value):
            return False
        if any(value is of_environment for of_environment in environment.globals.values()):
            known[id(value)] = value  # kept alive, so that its id is not reused
        return True

    environment.code_generator_class = type("LoginCodeGenerator", (_LoginCodeGenerator, generator), {})
    environment.template_class = type("LoginTemplate", (_LoginTemplate, template), {})
    environment.globals[NAME] = current_user
    setattr(environment, _USER, user_for_template)
    setattr(environment, _PROXY, CurrentUser)
    setattr(environment, _AHEAD, _load_ahead)
    setattr(environment, _OF_LIBRARY, is_known_or_of_library)
    setattr(environment, _KNOWN, known)
    setattr(environment, _OF_APP, is_of_app)
    if environment.bytecode_cache is not None:
        environment.bytecode_cache = _SaltedBytecodeCache(environment.bytecode_cache)
    if environment.cache is not None:
        environment.cache.clear()  # templates compiled before would not await


def _names_from_processors(app: Quart) -> set[str]:
    """Return a set that collects the names which context processors, also of blueprints, give templates."""
    names: set[str] = set()
    update: Any = app.update_template_context

    known = {*_FROM_QUART}
    processors = app.template_context_processors

    async def update_and_note(*args: Any) -> None:  # on Quart 0.23 with its context first
        context = args[-1]
        given = {*context}
        await update(*args)
        if not context.keys() <= known:
            names.update(context.keys() - given - known)
            known.update(names)

    def update_with_names(*args: Any) -> Any:
        has_only_quarts = len(processors) == 1 and len(processors[None]) == 1
        return update(*args) if has_only_quarts else update_and_note(*args)

    app.update_template_context = cast(Any, update_with_names)  # type: ignore[method-assign]  # Quart has no hook for it
    return names


class _LoginCodeGenerator(CodeGenerator):
    """Compiles a read of `current_user` to an `await`, and loads the user before the app's helpers are called."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 -- Jinja's name
        token = output_is_kept.set(True)  # a filter of a constant is called now, and its result is compiled
        try:
            super().visit_Template(node, frame)
        finally:
            output_is_kept.reset(token)

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 -- as above
        if node.ctx == "load" and node.name == NAME:
            # A `{% set %}`, a loop variable, a macro argument or a variable from the view keeps its own meaning.
            given = frame.symbols.ref(node.name)
            self.write(f"(await environment.{_USER}() if type({given}) is environment.{_PROXY} else ")
            super().visit_Name(node, frame)
            self.write(")")
        elif node.ctx == "load" and _is_from_outside(node, frame):
            self.write("(")
            super().visit_Name(node, frame)
            value = frame.symbols.ref(node.name)
            no_helper = (
                f"not callable({value}) or id({value}) in environment.{_KNOWN} or environment.{_OF_LIBRARY}({value})"
            )
            self.write(f" if {no_helper} or await environment.{_AHEAD}() else None)")
        else:
            super().visit_Name(node, frame)

    # Jinja wraps its own in a decorator that passes keywords on, and nothing else.
    def visit_Call(self, node: nodes.Call, frame: Frame, **options: Any) -> None:  # type: ignore[override]  # noqa: N802 -- as above; keywords of the decorator
        owner = _owner_of_method(node.node)
        if owner is None or not _is_from_outside(owner, frame):
            super().visit_Call(node, frame, **options)
            return
        self.write("(")
        super().visit_Call(node, frame, **options)
        no_helper = f"not environment.{_OF_APP}({owner.name!r}, {frame.symbols.ref(owner.name)})"
        self.write(f" if {no_helper} or await environment.{_AHEAD}() else None)")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:  # noqa: N802 -- as above
        if not calls_the_app(node, self.environment):
            super().visit_Filter(node, frame)
            return
        self.write(f"(await environment.{_AHEAD}() and ")
        super().visit_Filter(node, frame)
        self.write(")")

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:  # noqa: N802 -- as above
        if not calls_the_app(node, self.environment):
            super().visit_Test(node, frame)
            return
        self.write(f"(await environment.{_AHEAD}() and ")
        super().visit_Test(node, frame)
        self.write(")")


def _is_from_outside(node: nodes.Name, frame: Frame) -> bool:
    """Tell whether a name is not one of the template's own variables, loops, macros and imports."""
    load = frame.symbols.find_load(frame.symbols.ref(node.name))
    return node.name != NAME and load is not None and load[0] not in {VAR_LOAD_PARAMETER, VAR_LOAD_UNDEFINED}


def _owner_of_method(called: nodes.Expr) -> nodes.Name | None:
    """Return the name before the first dot of a called expression, `None` if there is none."""
    owner = called
    while isinstance(owner, nodes.Getattr | nodes.Getitem):
        owner = owner.node
    return owner if owner is not called and isinstance(owner, nodes.Name) else None


async def _as_error_page(rendering: Coroutine[Any, Any, str]) -> str:
    """Render a template after a loader's error: it sees the anonymous user."""
    token = is_rendering.set(True)
    try:
        return await rendering
    finally:
        is_rendering.reset(token)


async def _load_ahead() -> bool:
    """Load the user for a helper; always true, so that it can be part of a condition."""
    await load_ahead()
    return True


class _LoginTemplate(Template):
    """Knows when a template is rendered, and when it is evaluated without context, whose output Jinja keeps."""

    def render_async(self, *args: Any, **kwargs: Any) -> Any:  # as its base, a function that gives a coroutine
        rendering = super().render_async(*args, **kwargs)
        return _as_error_page(rendering) if is_after_failure() else rendering

    async def make_module_async(
        self,
        vars: dict[str, Any] | None = None,  # noqa: A002 -- Jinja's name
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,  # noqa: A002 -- Jinja's name
    ) -> TemplateModule:
        token = output_is_kept.set(output_is_kept.get() or vars is None)
        try:
            return await super().make_module_async(vars, shared, locals)
        finally:
            output_is_kept.reset(token)


class _SaltedBytecodeCache(BytecodeCache):
    """Keeps templates compiled with `current_user` apart from those compiled by another environment."""

    def __init__(self, cache: BytecodeCache) -> None:
        self._cache = cache

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        return self._cache.get_cache_key(f"{_SALT}:{name}", cast(str, filename))

    def load_bytecode(self, bucket: Bucket) -> None:
        self._cache.load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._cache.dump_bytecode(bucket)

    def clear(self) -> None:
        self._cache.clear()


#: Packages and modules whose functions and classes never read `current_user`.
_LIBRARIES: Final = frozenset(
    {"_operator", "builtins", "datetime", "flask", "jinja2", "markupsafe", "quart", "quartlogin", "werkzeug"}
)
_PROXIES_OF_QUART: Final = frozenset(map(id, (current_app, g, request, session, websocket)))
#: Filters that take the name of a filter or a test, and the position of that argument.
_CALLS_BY_NAME: Final = {
    "map": ("filters", 0),
    "select": ("tests", 0),
    "reject": ("tests", 0),
    "selectattr": ("tests", 1),
    "rejectattr": ("tests", 1),
}


def is_of_library(helper: Any) -> bool:
    """Tell whether this belongs to Python, Jinja, Quart or quartlogin, which do not need the user."""
    kind = type(helper)
    if kind is CurrentUser or helper is login_fresh:
        return False  # the one is passed to the template under another name, the other may need the user
    if kind is LocalProxy:
        return id(helper) in _PROXIES_OF_QUART
    if kind is MethodType:
        helper, kind = helper.__func__, type(helper.__func__)
    if kind is FunctionType:  # a wrapper has the module of what it wraps
        return _is_library(helper.__module__) and _is_library(helper.__globals__.get("__name__"))
    if kind is BuiltinFunctionType:
        return _is_library(helper.__module__ or type(helper.__self__).__module__)
    if issubclass(kind, type):
        return _is_library(helper.__module__)
    return _is_library(helper.__name__ if kind is ModuleType else kind.__module__)


def calls_the_app(node: nodes.Filter | nodes.Test, environment: Environment) -> bool:
    """Tell whether a filter or a test may be the app's, or calls one of the app's by its name."""
    if isinstance(node, nodes.Test):
        return _is_apps(environment.tests.get(node.name))
    if _is_apps(environment.filters.get(node.name)):
        return True
    if node.name not in _CALLS_BY_NAME:
        return False
    kind, place = _CALLS_BY_NAME[node.name]
    named: list[nodes.Expr] = node.args[place:]
    known: dict[str, Any] = getattr(environment, kind)
    if node.dyn_args is not None or (named and not isinstance(named[0], nodes.Const)):
        return any(map(_is_apps, known.values()))  # its name is known only when the template is rendered
    return bool(named) and _is_apps(known.get(named[0].value))  # type: ignore[attr-defined]  # it is a constant


def _is_apps(helper: Any) -> bool:
    return helper is None or not is_of_library(helper)  # `None`: registered later


@lru_cache(1024)
def _is_library(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _LIBRARIES
