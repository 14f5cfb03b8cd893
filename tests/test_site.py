"""The documentation's site: its reference has every public name, and its tables are those of the code.

CI builds the site, with warnings as errors, and looks at it in a browser (`.ci/look_at_site.py`).
"""

import ast
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from quart import Quart

import doc_pages
from quartlogin import SESSION_KEYS
from quartlogin.config import DEFAULTS
from quartlogin.sessions.login_session import LEFT_BY

REFERENCE = doc_pages.DOCS / "reference"
PACKAGE = doc_pages.ROOT / "quartlogin"
MODULES = (
    "quartlogin",
    "quartlogin.accounts",
    "quartlogin.accounts.testing",
    "quartlogin.explaining",
    "quartlogin.telemetry.metrics",
    "quartlogin.telemetry.opentelemetry",
    "quartlogin.webapp",
)


def names_in_reference() -> list[str]:
    """Return the full names that the reference describes."""
    names, module = [], ""
    for page in sorted(REFERENCE.glob("*.md")):
        for directive, name in re.findall(r"^\.\. (\w+):: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if directive == "currentmodule":
                module = name
            elif directive.startswith("auto"):
                names.append(f"{module}.{name}")
    return names


def public_names(module: ModuleType) -> list[str]:
    """Return a module's `__all__`; without one, the names that it defines itself and that do not begin with `_`."""
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", defined))


def test_the_reference_describes_every_public_name_once() -> None:
    public = [f"{name}.{public}" for name in MODULES for public in public_names(import_module(name))]
    described = [name for name in names_in_reference() if not name.startswith("quartlogin.tracing.")]

    assert sorted(described) == sorted(public)


def test_the_extension_exports_every_public_name_of_its_test_helpers() -> None:
    names = public_names(import_module("quartlogin.testing"))

    assert names
    assert not {f"quartlogin.{name}" for name in names} - set(names_in_reference())


def sent_signals() -> set[tuple[str, tuple[str, ...]]]:
    """Return each signal with the names of its arguments, from the calls of `signals.send`."""
    calls = [
        node
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "signals.send"
    ]
    return {
        (ast.unparse(call.args[0]).removeprefix("signals."), tuple(str(word.arg) for word in call.keywords))
        for call in calls
    }


def test_the_table_of_signals_has_their_arguments() -> None:
    page = (REFERENCE / "signals.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)

    assert {(name, tuple(re.findall(r"`(\w+)`", arguments))) for name, arguments in rows} == sent_signals()


def rows_of(page: Path) -> list[tuple[str, str]]:
    """Return the first two cells of the rows whose first cell is code in capitals."""
    return re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| ([^|]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_table_of_configuration_keys_has_the_defaults_of_the_code() -> None:
    rows = dict(rows_of(REFERENCE / "configuration.md"))
    defaults = {f"`{key}`": f"`{default!r}`".replace("datetime.", "") for key, default in DEFAULTS.items()}

    assert {key: default for key, default in rows.items() if key.strip("`") in DEFAULTS} == defaults


def test_the_other_configuration_keys_are_quarts_or_session_protection() -> None:
    rows = rows_of(REFERENCE / "configuration.md")
    keys = {key for cell, _ in rows for key in re.findall(r"\w+", cell)}

    assert keys - set(DEFAULTS) - set(Quart("keys").config) == {"SESSION_PROTECTION"}


def functions_of(path: Path) -> set[str]:
    """Return the names of a module's functions, and of its classes' methods as `Class.method`."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    methods = [(f"{node.name}.", node.body) for node in body if isinstance(node, ast.ClassDef)]
    return {
        prefix + node.name
        for prefix, nodes in [("", body), *methods]
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_of_the_twelve_steps_names_a_function_in_its_file() -> None:
    pages = [doc_pages.ROOT / "README.md", doc_pages.DOCS / "twelve-steps.md"]
    rows = [
        (step, function, page.parent / target)
        for page in pages
        for step, function, target in re.findall(
            r"^\| ([\d, ]*) \|(?:[^|]+\|)? `([\w.]+)` \| \[`[\w./]+`\]\(([\w./]+)\) \|$",
            page.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    ]

    assert {int(step) for cell, _, _ in rows for step in re.findall(r"\d+", cell)} == {*range(1, 13)}
    assert [(function, path.name) for _, function, path in rows if function not in functions_of(path)] == []


def test_the_table_of_session_keys_is_the_one_in_the_code() -> None:
    page = (doc_pages.DOCS / "sessions-and-remember-me.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == SESSION_KEYS | {LEFT_BY}
