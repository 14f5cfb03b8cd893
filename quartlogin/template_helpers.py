"""Helpers in templates that may be the app's own, and so may read `current_user`."""

from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from jinja2 import Environment, nodes
from quart import current_app, g, request, session, websocket
from werkzeug.local import LocalProxy

from .current_user import CurrentUser

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
    """Tell whether this belongs to Python, Jinja, Quart or quartlogin, which do not read `current_user`."""
    kind = type(helper)
    if kind is CurrentUser:
        return False  # passed to the template under another name
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
