"""Follow docs/tutorial/ as a reader does: in an empty folder, block by block.

* A block belongs to the file that is named above it. The line with the name says where the block goes:

      **`app.py`**                             it is the whole file, also if there is one already
      **`app.py`**, at the end                 it is added at the end
      **`app.py`**, in place of `login`        it replaces that top-level function or class, with its decorators
      **`login.html`**, after `<form>`         it is added below the line of this content

  Imports at the head of a Python block go to the top of the file, below those that it has.
* An `sh` block runs in one shell: what one block exports, the next one sees. The first failing command fails the test.
  `pip install` only checks that the packages are installed; the virtual environment is that of the tests. A line that
  starts `hypercorn` names the server, which the next `curl` finds running on a free port (it takes the place of 8000),
  started anew if a file has changed, as `--reload` does.
* A `text` block is the whole output of the `sh` block before it. `…` stands for any text within a line, and alone on a
  line for any number of lines.
* `<!-- types: words -->` is what the reader types while the next `sh` block runs.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from doc_pages import DOCS
from servers import PATIENCE, SCRIPTS, Server, free_port, running

PAGES = sorted((DOCS / "tutorial").glob("*.md"))

_PIECE = re.compile(
    r"(?:^\*\*`(?P<file>[^`]+)`\*\*(?:, (?P<where>at the end|in place of|after)(?: `(?P<mark>[^`]+)`)?)?\n\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    r"|^<!-- types: (?P<typed>.*?) -->$",
    re.DOTALL | re.MULTILINE,
)
_STEP = re.compile(r"^## (\d+)\.", re.MULTILINE)
_REPLACED = re.compile(r"^(?:python3 -m venv|\. \.venv/).*\n", re.MULTILINE)
_INSTALL = re.compile(r"^pip install (.*)\n", re.MULTILINE)
_SERVE = re.compile(r"^hypercorn (.*)\n", re.MULTILINE)
_PORT = "8000"


@dataclass(frozen=True)
class Block:
    """A block of a page, and where it stands."""

    at: str
    #: The number of the heading above it.
    step: int
    language: str
    text: str
    file: str | None
    where: str | None
    mark: str | None
    typed: str


def blocks() -> Iterator[Block]:
    """Read the blocks of all pages, in order."""
    for page in PAGES:
        yield from _blocks_of(page)


def _blocks_of(page: Path) -> Iterator[Block]:
    text, typed = page.read_text(encoding="utf-8"), ""
    for piece in _PIECE.finditer(text):
        if piece["typed"]:
            typed = f"{piece['typed']}\n"
            continue
        before = text[: piece.start()]
        at, step = f"{page.name}, line {before.count(chr(10)) + 1}", int(_STEP.findall(before)[-1])
        yield Block(at, step, piece["language"], piece["text"], piece["file"], piece["where"], piece["mark"], typed)
        typed = ""


def edit(content: str, block: Block) -> str:
    """Return what is in the file once the block is where it belongs."""
    if block.where is None:
        return block.text
    if block.where == "after":
        return _add_below(content, str(block.mark), block.text)
    imports, rest = _split_imports(block.text)
    is_new = block.where == "at the end"
    content = f"{content}\n\n{rest}" if is_new else _replace(content, str(block.mark), rest)
    return _add_imports(content, imports)


def _add_below(content: str, line: str, text: str) -> str:
    lines = content.splitlines(keepends=True)
    [index] = [number for number, one in enumerate(lines) if one.strip() == line]
    return "".join([*lines[: index + 1], text, *lines[index + 1 :]])


def _split_imports(text: str) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    end = _end_of_imports(text)
    return "".join(lines[:end]), "".join(lines[end:]).lstrip("\n")


def _add_imports(content: str, imports: str) -> str:
    lines = content.splitlines(keepends=True)
    end = _end_of_imports(content)
    return "".join([*lines[:end], imports, *lines[end:]])


def _end_of_imports(source: str) -> int:
    """Return the number of lines until the first statement that is no import."""
    end = 0
    for statement in ast.parse(source).body:
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not isinstance(statement, ast.Import | ast.ImportFrom) and not is_docstring:
            break
        end = statement.end_lineno or 0
    return end


def _replace(content: str, name: str, text: str) -> str:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    [old] = [one for one in ast.parse(content).body if isinstance(one, definitions) and one.name == name]
    first = min([old.lineno, *(decorator.lineno for decorator in old.decorator_list)])
    lines = content.splitlines(keepends=True)
    return "".join([*lines[: first - 1], text, *lines[old.end_lineno :]])


def matches(shown: str, output: str) -> bool:
    """Tell whether an output is the one that the page shows."""
    lines = [
        r"(?:.*\n)*?" if line == "…" else f"{re.escape(line).replace('…', '.*')}[ \r]*\n" for line in shown.splitlines()
    ]
    return re.fullmatch("".join(lines), f"{output.rstrip()}\n") is not None


@dataclass
class Reader:
    """Does what the page says, in an empty folder; a context manager, which ends the server."""

    start: Path
    folder: Path = field(init=False)
    port: int = field(default=0, init=False)
    output: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.folder = self.start / "empty"
        self.folder.mkdir()
        path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
        # Files change faster than a .pyc can tell.
        self._environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._command: str | None = None
        self._served: dict[Path, str] = {}
        self._server: Server | None = None
        self._running = ExitStack()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def follow(self, block: Block) -> None:
        """Do what one block says.

        Raises:
            AssertionError: A command fails, or prints something else than the page shows.
        """
        if block.file is not None:
            file = self.folder / block.file
            file.parent.mkdir(exist_ok=True)
            file.write_text(edit(file.read_text() if block.where else "", block))
        elif block.language == "sh":
            self.run(block.text, typed=block.typed, at=block.at)
        else:
            assert block.language == "text", f"{block.at}: to which file does this block belong?"
            assert matches(block.text, self.output), f"{block.at}: the output is\n{self.output}"

    def run(self, script: str, *, typed: str = "", at: str = "") -> None:
        """Run a script in the reader's shell, and keep what it prints."""
        for packages in _INSTALL.findall(script):
            assert [version(name) for name in packages.split()], f"{at}: {packages} must be installed"
        for command in _SERVE.findall(script):
            self._command, self._server = command, None
        script = _SERVE.sub("", _INSTALL.sub("", _REPLACED.sub("", script)))
        if "curl " in script:
            self.serve()
        state = self.start / "state"
        command = f"set -eo pipefail\n{script.replace(_PORT, str(self.port))}\npwd > '{state}'\nenv -0 >> '{state}'"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * PATIENCE,  # for the tutorial's own tests on a busy machine
            start_new_session=True,  # without a terminal, getpass reads its input
        )
        self.output = done.stdout.replace(str(self.port), _PORT)
        assert done.returncode == 0, f"{at}: it failed with {done.returncode}.\n{done.stdout}{done.stderr}"
        folder, _, environment = state.read_text().partition("\n")
        self.folder = Path(folder)
        self._environment = dict(entry.split("=", 1) for entry in environment.split("\0") if entry)

    def serve(self) -> Server:
        """Start the server, anew if a file has changed since; returns it."""
        assert self._command is not None, "The page has not started a server."
        files = {file: file.read_text() for pattern in ("*.py", "templates/*") for file in self.folder.glob(pattern)}
        if self._server is not None and files == self._served:
            return self._server
        self._running.close()
        self.port = free_port()
        options = re.sub(r"--reload |--bind \S+ ", "", self._command).split()
        command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{self.port}", *options]
        self._server = self._running.enter_context(
            running(command, self.port, self.folder, QUART_SECRET_KEY=self._environment["QUART_SECRET_KEY"])
        )
        self._served = files
        return self._server
