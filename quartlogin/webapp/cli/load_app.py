"""Loading an app of one's own by its name, such as `mymodule:create_app()`."""

import inspect
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from quart import Quart

from ..app_errors import AppError, describe

_NAME: Final = re.compile(r"(?P<module>[^:()]{1,120}):(?P<attribute>\w{1,120})(?:\(\))?")
_MAX_SHOWN: Final = 80  # characters of a name that is none


def load_app(name: str) -> Quart:
    """Import an app, or call the function that creates it. The current folder is on `sys.path`.

    Args:
        name: `module:app`, `module:create_app` or `module:create_app()`.

    Raises:
        AppError: There is none.
    """
    parts = _NAME.fullmatch(name)
    if parts is None or parts["module"].endswith(".py"):
        raise AppError(f"{name[:_MAX_SHOWN]!r} is not the name of an app: write it as mymodule:app, without .py.")
    found = _attribute_of(_import(parts["module"]), parts["attribute"])
    if not isinstance(found, Quart) and callable(found):
        found = _call(found, name)
    if not isinstance(found, Quart):
        raise AppError(f"{name} is an object of type {type(found).__name__}: name a Quart app, or a function of one.")
    return found


def _import(module: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise AppError(f"Cannot import {module}: {describe(error)}") from error
        raise AppError(
            f"There is no module {error.name!r}: run the command in the folder that contains it, or set PYTHONPATH."
        ) from None
    except (Exception, SystemExit) as error:
        raise AppError(f"Cannot import {module}: {describe(error)}") from error


def _attribute_of(module: ModuleType, name: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    apps = [each for each, value in vars(module).items() if isinstance(value, Quart)]
    own = [each for each, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    likely = apps or [each for each in own if "app" in each.lower()] or get_close_matches(name, own)
    hint = f"did you mean {' or '.join(likely)}?" if likely else "name a Quart app, or a function that creates one."
    raise AppError(f"The module {module.__name__} has no {name!r}: {hint}")


def _call(factory: Callable[..., Any], name: str) -> Any:
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError) as error:
        raise AppError(f"{name} cannot be called without arguments: {error}. Give them default values.") from None
    if inspect.iscoroutinefunction(factory):
        raise AppError(f"{name} is a coroutine function: write `def` instead of `async def`.")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise AppError(f"{name} fails: {describe(error)}") from error
