"""Run the Python in a page of docs/: how a page is written so that a test shows that it is true.

* Every ```` ```python ```` block of a page runs, from top to bottom, in one namespace, in an event loop: a block may
  `await` at its top level, as in `python -m asyncio`. What cannot run is not `python`: use `text`, `sh` or `diff`.
* What readers need not see is in an HTML comment that begins with `python`: what a block expects to exist, a request to
  the page's app, and `assert`s about what it answers. It runs in its place between the blocks.

      <!-- python
      answer = await app.test_client().get("/me")
      assert answer.status_code == 401
      -->

* `<!-- needs: quart_wtf, flask_sqlalchemy -->` names modules that are not installed everywhere. Without them the page's
  test is skipped, loudly; in CI, which has them all, that is a failure.
* `<!-- process: its own -->` is for pages that change Python itself, as `import quart_flask_patch` does.
* `<!-- only with: quart<0.23 -->` is for pages that say so themselves. With another version, the test makes sure that
  the page fails: a limit that has gone must go from the page.

`SECRET_KEY` and `QUARTLOGIN_SECRET_KEY` are set, and the current folder is an empty one. A page may leave nothing
running: it closes what it has opened, in a hidden block if need be.
"""

import ast
import asyncio
import builtins
import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")])

_PYTHON = re.compile(r"^(?:```python\n(.*?)^```|<!-- python\n(.*?)^-->)", re.DOTALL | re.MULTILINE)
_ONLY_WITH = re.compile(r"^<!-- only with: (.*?) -->$", re.MULTILINE)
_NEEDS = re.compile(r"^<!-- needs: (.*?) -->$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def missing_modules(page: Path) -> list[str]:
    """Return what a page needs and this machine does not have."""
    named = ", ".join(_NEEDS.findall(page.read_text(encoding="utf-8")))
    return [name for name in named.split(", ") if name and find_spec(name) is None]


def needs_own_process(page: Path) -> bool:
    """Tell whether a page changes Python itself."""
    return "<!-- process: its own -->\n" in page.read_text(encoding="utf-8")


def has_to_fail(page: Path) -> bool:
    """Tell whether a page says that it works with other versions only."""
    limits = map(Requirement, _ONLY_WITH.findall(page.read_text(encoding="utf-8")))
    return not all(limit.specifier.contains(version(limit.name)) for limit in limits)


async def run(page: Path) -> dict[str, Any]:
    """Run a page's Python, each block after the one before it; returns the names that it has defined.

    Raises:
        Exception: Whatever a block raises; the traceback has the page's own line numbers.
    """
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module  # dataclasses and SQLAlchemy look annotations up there
    vars(module)["__builtins__"] = builtins  # as in every module that is imported; SQLAlchemy looks there, too
    text = page.read_text(encoding="utf-8")
    for found in _PYTHON.finditer(text):
        lines_before = text[: found.start()].count("\n") + 1
        code = compile(
            "\n" * lines_before + (found[1] or found[2]),
            str(page),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        result = FunctionType(code, module.__dict__)()
        if code.co_flags & CO_COROUTINE:
            await result
    return module.__dict__


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
