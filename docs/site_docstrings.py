"""Find the descriptions of constants, signals and steps, and read those of attributes as they are meant.

Autodoc misses the `#:` comment above a constant or a signal where a package exports it from a module. Napoleon takes
what precedes a colon in the description of an attribute for its type.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

from quartlogin.tracing import STEPS

PACKAGE = Path(__file__).parent.parent / "quartlogin"
_DESCRIBED = re.compile(r"^(?P<comment>(?:#:.*\n)+)(?P<name>\w+)(?:: [^=\n]+)? = ", re.MULTILINE)
_VALUES = {"attribute", "data", "property"}
_BEFORE_NAPOLEON, _AFTER_NAPOLEON = 400, 600


def setup(app: Sphinx) -> None:
    """Register the descriptions."""
    comments, written = comments_of_names(), {}

    def describe(_app: Sphinx, kind: str, name: str, _value: Any, _options: Any, lines: list[str]) -> None:
        if kind == "data":
            lines[:] = comments.get(name.rpartition(".")[2], lines)
        if name == "quartlogin.tracing.STEPS":
            lines += ["", *(f"- `{step}`: {meaning}" for step, meaning in STEPS.items())]
        written[name] = [*lines]

    def read_again(_app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
        if kind in _VALUES:
            lines[:] = GoogleDocstring(written[name], app.config, app, "method", name, value, options).lines()

    app.connect("autodoc-process-docstring", describe, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", read_again, priority=_AFTER_NAPOLEON)


def comments_of_names() -> dict[str, list[str]]:
    """Return the `#:` comment above each module-level name."""
    return {
        found["name"]: [line.removeprefix("#:").strip() for line in found["comment"].splitlines()]
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in _DESCRIBED.finditer(path.read_text(encoding="utf-8"))
    }
