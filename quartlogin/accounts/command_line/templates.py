"""The commands that copy templates of the accounts into an app, and compare the copies with the package's."""

import re
from collections.abc import Iterator
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from quartlogin import __version__

from ..paths import find_resource

_STAMP: Final = "{{# quartlogin {version}, sha256 {digest} -#}}\n"
#: Without the hyphen too, for copies whose stamp was edited.
_STAMP_LINE: Final = re.compile(r"\{# quartlogin (?P<version>\S+), sha256 (?P<digest>[0-9a-f]{64}) -?#\}\n")
#: Ends the names of the originals, which are kept beside the copies: a release does not contain earlier templates.
_ORIGINAL: Final = ".original"

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("templates"),
    show_default=True,
    help="The folder of the app's templates.",
)


@click.group()
def templates() -> None:
    """Copy templates of the accounts into an app, and compare the copies with the package's."""


@templates.command("list")
def list_templates() -> None:
    """List the templates that can be copied, with their paths in the folder."""
    for name, path in _paths().items():
        click.echo(f"{name:<18}{path}")


@templates.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--force", "overwrites", is_flag=True, help="Overwrite copies that exist.")
@folder_option
def copy(names: tuple[str, ...], overwrites: bool, folder: Path) -> None:
    """Copy templates, each with a stamp, and with the original beside it for `diff`. Keep both under version control.

    \b
    quartlogin templates copy login register
    """
    paths = [_path_of(name) for name in names]
    taken = [folder / path for path in paths if (folder / path).exists()]
    if taken and not overwrites:
        raise click.ClickException(f"{taken[0]} exists. Nothing was copied; overwrite it with --force.")
    for path in paths:
        try:
            _write_copy(folder / path, (find_resource("templates") / path).read_text("utf-8"))
        except OSError as error:
            raise click.ClickException(f"Could not write {folder / path}: {error.strerror}.") from None
        click.echo(f"Copied {folder / path}.")


@templates.command()
@folder_option
def diff(folder: Path) -> None:
    """Show what the package changed in templates since they were copied.

    Without the original, the differences from the copy are shown: they include the app's own changes.
    """
    copies = [path for path in _paths().values() if (folder / path).exists()]
    if not copies:
        click.echo(f"There are no copies in {folder}.")
    for path in copies:
        try:
            for line in _compare(folder / path, (find_resource("templates") / path).read_text("utf-8")):
                click.echo(line)
        except (OSError, UnicodeDecodeError):
            raise click.ClickException(f"{folder / path} could not be read: it must be a file in UTF-8.") from None


def _paths() -> dict[str, Path]:
    """Return the path of each template below `templates`, by its name; panels have the name of their folder, too."""
    root = find_resource("templates")
    found = sorted((root / "accounts").rglob("*.html"))
    return {
        f"{path.parent.name}/panel" if path.stem == "panel" else path.stem: path.relative_to(root) for path in found
    }


def _path_of(name: str) -> Path:
    paths = _paths()
    if name not in paths:
        raise click.ClickException(
            f"There is no template {name!r:.80}. Nothing was copied; choose from {', '.join(paths)}."
        )
    return paths[name]


def _write_copy(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _original_of(target).write_text(text, "utf-8")
    target.write_text(_STAMP.format(version=__version__, digest=_digest(text)) + text, "utf-8")


def _compare(copied: Path, present: str) -> Iterator[str]:
    """Yield what to print about a copy.

    Args:
        copied: The copy.
        present: The package's template.
    """
    text = copied.read_text("utf-8")
    stamp = _STAMP_LINE.match(text)
    if stamp is None:
        yield f"{copied} has no stamp; its differences from the package's template of {__version__}:"
        yield from _lines(text, present)
        return
    if stamp["digest"] == _digest(present):
        yield f"{copied}: unchanged in the package since {stamp['version']}."
        return
    original = _read_original(copied, stamp["digest"])
    if original is not None:
        yield f"{copied}: the package's changes from {stamp['version']} to {__version__}:"
        yield from _lines(original, present)
        return
    yield (
        f"{copied}: changed in the package since {stamp['version']}. The original is missing or was edited; "
        f"the copy's differences from the package's template of {__version__}, with the app's own changes:"
    )
    yield from _lines(text[stamp.end() :], present)


def _read_original(copied: Path, digest: str) -> str | None:
    """Return the original of a copy; `None` if it is missing or not the one of the stamp."""
    try:
        text = _original_of(copied).read_text("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _digest(text) == digest else None


def _original_of(copied: Path) -> Path:
    return copied.with_name(copied.name + _ORIGINAL)


def _lines(before: str, after: str) -> Iterator[str]:
    return unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
