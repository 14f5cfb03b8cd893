"""Compiled templates that the tests of one process share.

Each test has an app of its own with an environment of its own, and compiling the accounts' templates for each was a
third of the time of a test. All of an environment that decides what a template is compiled to is part of the key, so
that a test which changes any of it compiles anew.
"""

from types import CodeType
from typing import Any

from jinja2 import Environment

_compile = Environment.compile
_codes: dict[tuple[Any, ...], CodeType] = {}


def compile_once(
    environment: Environment, source: Any, name: str | None = None, filename: str | None = None, **options: Any
) -> Any:
    """Compile a template as `Environment.compile` does, which this stands for, but the same one only once."""
    if options or not isinstance(source, str):
        return _compile(environment, source, name, filename, **options)
    key = (source, name, filename, *_settings(environment))
    if key not in _codes:
        _codes[key] = _compile(environment, source, name, filename)
    return _codes[key]


def _settings(environment: Environment) -> tuple[Any, ...]:
    """Return what a template is compiled to depends on: delimiters, filters, tests, and the classes at work."""
    return (
        *((name, value) for name, value in sorted(vars(environment).items()) if isinstance(value, str | bool | None)),
        getattr(environment.autoescape, "__func__", environment.autoescape),
        environment.finalize,
        environment.undefined,
        *environment.extensions,
        *environment.filters.items(),
        *environment.tests.items(),
        *_with_code(type(environment)),
        *_with_code(environment.code_generator_class),
    )


def _with_code(cls: type) -> list[type]:
    """Return the classes that a class is made of, without those that are made for each app and only join others."""
    return [base for base in cls.__mro__ if any(map(callable, (vars(base) | {"__init__": None}).values()))]
