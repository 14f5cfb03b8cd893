"""The command that starts a project."""

import keyword
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Final

import click

from .keys import system_message

_PROJECT: Final = Path(__file__).with_name("new_project")
_NAME: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_-]{0,38}[A-Za-z0-9])?")
_MAX_SHOWN: Final = 80  # characters of a name that is none
_CACHES: Final = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
#: A folder of the project beside the module.
_TESTS: Final = "tests"


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Start a project: an app with accounts, and a page of notes that belong to users.

    It is written to the folder NAME, which must be empty if it exists. The module has the same name, with an
    underscore for each hyphen.

    \b
    quartlogin new notes
    """
    module = _module_of(name)
    try:
        _write(Path(name), {"project-name": name, "project_name": module, "Project name": _title_of(module)})
    except OSError as error:
        raise click.ClickException(f"Could not write the folder {name}: {system_message(error)}.") from None
    click.echo(f"Created the project in the folder {name}. What to type next:\n")
    for line in _next_commands(name, module):
        click.echo(f"  {line}")


def _module_of(name: str) -> str:
    """Return the name of the project's module.

    Raises:
        ClickException: It cannot have this name.
    """
    if not _NAME.fullmatch(name):
        raise click.ClickException(
            f"{name[:_MAX_SHOWN]!r} cannot be the name of a project: use 1 to 40 letters (a to z), digits, hyphens and "
            "underscores, beginning with a letter and ending with a letter or a digit."
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module):
        raise click.ClickException(f"{module!r} is a keyword of Python: choose another name, such as 'my-{name}'.")
    if _is_taken(module) or _is_taken(module.lower()):
        raise click.ClickException(f"There is a module {module!r} already: choose another name, such as 'my-{name}'.")
    return module


def _is_taken(module: str) -> bool:
    """Tell whether a module of this name is in Python, installed, or part of the project."""
    if module == _TESTS or module in sys.stdlib_module_names:
        return True
    spec = find_spec(module)
    return spec is not None and spec.origin is not None  # a folder without modules has no origin


def _title_of(module: str) -> str:
    return module.replace("_", " ").capitalize()


def _write(folder: Path, replacements: dict[str, str]) -> None:
    """Write the project beside its folder first, so that it is there as a whole or not at all.

    Raises:
        ClickException: The folder contains something.
        OSError: It cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.ClickException(f"{folder} exists and is not an empty folder: choose another name, or move it away.")
    unfinished = folder.with_name(f".{folder.name}-{token_hex(4)}")
    try:
        for source in _files():
            target = unfinished / _replace(str(source.relative_to(_PROJECT)), replacements)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_replace(source.read_text("utf-8"), replacements), "utf-8")
        if folder.is_dir():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _files() -> list[Path]:
    """Return the files of the project, without those that Python and tools keep beside them."""
    paths = [path for path in sorted(_PROJECT.rglob("*")) if path.is_file()]
    return [path for path in paths if not _CACHES.intersection(path.relative_to(_PROJECT).parts)]


def _replace(text: str, replacements: dict[str, str]) -> str:
    """Replace every placeholder at once: a name may contain one."""
    return re.sub("|".join(replacements), lambda found: replacements[found[0]], text)


def _next_commands(name: str, module: str) -> list[str]:
    """Return what to type, with the path of the programs if it is not on the `PATH`."""
    here, found = Path(sys.executable).parent, shutil.which("quartlogin")
    path = "" if found is not None and Path(found).parent == here else f"{here}/"
    return [
        f"cd {name}",
        f"{path}pip install -e '.[test]'",
        f"{path}pytest",
        f"{path}quartlogin serve --app {module}:create_app",
    ]
