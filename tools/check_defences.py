"""Remove each defence from a copy of the code, and check that a test fails.

    python tools/check_defences.py                  # every defence; writes docs/security/defences.md
    python tools/check_defences.py --only csrf      # those with this word in their name
    python tools/check_defences.py --find tests/security --only csrf   # search there for a test that fails

tools/defences.toml lists the defences, each with the change that removes it and the tests that must fail then. Where
two defences cover each other, both are removed at once. The exit status is 1 if a test of a defence passes without it,
or fails with it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
LIST: Final = ROOT / "tools" / "defences.toml"
PAGE: Final = ROOT / "docs" / "security" / "defences.md"
_PATIENCE: Final = 300  # seconds for the tests of one defence; a change may make the code hang
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (?P<test>tests/\S+?)(?:\[.*?)?(?: - .*)?$", re.MULTILINE)
_TESTS_FAILED: Final = 1  # pytest's exit status
_INTRODUCTION: Final = """\
# Defences, and the tests that fail without them

`python tools/check_defences.py` removes each of these from a copy of the code, runs the tests in the third column, and
fails if one still passes. Where two defences cover each other, it removes both. The changes are in
`tools/defences.toml`.

| defence | file | tests that fail without it |
|---|---|---|
"""


class DefenceMoved(Exception):  # noqa: N818 -- its message tells a contributor what to do
    """The code of a defence is not where the list says."""


@dataclass(frozen=True)
class Change:
    """One replacement in one file."""

    file: str
    old: str
    new: str

    def apply(self, folder: Path) -> None:
        """Make the change in a copy of the project.

        Raises:
            DefenceMoved: The text does not occur exactly once.
        """
        path = folder / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if (count := text.count(self.old)) != 1:
            raise DefenceMoved(f"{self.file} has {self.old!r} {count} times: bring tools/defences.toml up to date.")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Defence:
    """A defence, the changes that remove it, and the tests that must fail then."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]

    @property
    def row(self) -> str:
        """The row of the defence in the page's table."""
        files = "<br>".join(dict.fromkeys(f"`{change.file}`" for change in self.changes))
        return f"| {self.name} | {files} | {'<br>'.join(f'`{test}`' for test in self.tests)} |"


def read_defences(path: Path = LIST) -> list[Defence]:
    """Return the defences of the list."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["defence"]
    return [
        Defence(
            entry["name"],
            tuple(Change(change["file"], change["old"], change["new"]) for change in entry["change"]),
            tuple(entry.get("tests", ())),
        )
        for entry in entries
    ]


def page_of(defences: Sequence[Defence]) -> str:
    """Return the page."""
    return _INTRODUCTION + "".join(f"{defence.row}\n" for defence in defences)


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """Copy the project's files into a folder that is removed afterwards."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in filter(None, listed.stdout.split("\0")):
            source, target = ROOT / name, copy / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        yield copy


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, list[str]]:
    """Run tests on the code in a folder; return pytest's exit status and the tests that failed."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "--require-everything", "--hypothesis-profile=thorough"]
    options += ["-m", ""]  # slow ones, too
    command = [sys.executable, "-m", "pytest", *options, *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return _TESTS_FAILED, ["(the tests do not end)"]
    return done.returncode, sorted({found["test"] for found in _FAILED.finditer(done.stdout)})


def check(defence: Defence, search: Sequence[str] = ()) -> str | None:
    """Remove a defence and run its tests one by one; return the fault, or `None` if each test fails.

    Args:
        defence: The defence to remove.
        search: Where to search for tests that fail, instead of running those of the list.
    """
    with copy_of_project() as folder:
        for change in defence.changes:
            change.apply(folder)
        if search:
            _, failed = run_tests(folder, search)
            print(f"{defence.name}: {', '.join(failed) or 'NO TEST FAILS'}", flush=True)
            return None
        missed = [test for test in defence.tests if run_tests(folder, [test])[0] != _TESTS_FAILED]
    if not defence.tests:
        return f"{defence.name}: the list names no test."
    return f"{defence.name}: still passing without it: {', '.join(missed)}" if missed else None


def main() -> int:
    """Check the selected defences; return the exit status."""
    arguments = _arguments()
    defences = [one for one in read_defences() if arguments.only.lower() in one.name.lower()]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        faults = [fault for fault in pool.map(lambda one: check(one, arguments.find), defences) if fault]
    if not arguments.find:
        with copy_of_project() as folder:
            tests = sorted({test for defence in defences for test in defence.tests})
            status, failed = run_tests(folder, tests)
        faults += [f"Fails without any change: {test}" for test in failed] if status else []
        print("\n".join(faults) or f"All {len(defences)} defences have tests that fail without them.")
        if not arguments.only and not faults:
            PAGE.write_text(page_of(defences), encoding="utf-8")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="check only defences with this word in their name")
    parser.add_argument("--find", nargs="+", default=[], metavar="TESTS", help="print which of these tests fail")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="the number of defences to check at a time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
