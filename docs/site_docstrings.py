"""Find the descriptions of constants and signals, which autodoc misses where a package exports them from a module."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PACKAGE = Path(__file__).parent.parent / "quartlogin"
_DESCRIBED = re.compile(r"^(?P<comment>(?:#:.*\n)+)(?P<name>\w+)(?:: [^=\n]+)? = ", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register the descriptions."""
    comments = comments_of_names()

    def describe(_app: Sphinx, kind: str, name: str, _value: Any, _options: Any, lines: list[str]) -> None:
        if kind == "data":
            lines[:] = comments.get(name.rpartition(".")[2], lines)

    app.connect("autodoc-process-docstring", describe)


def comments_of_names() -> dict[str, list[str]]:
    """Return the `#:` comment above each module-level name."""
    return {
        found["name"]: [line.removeprefix("#:").strip() for line in found["comment"].splitlines()]
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in _DESCRIBED.finditer(path.read_text(encoding="utf-8"))
    }
