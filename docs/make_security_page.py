"""Fill in security.md: the tests that name each requirement, and how many are met.

python docs/make_security_page.py
"""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent / "security.md"
TESTS = Path(__file__).parent.parent / "tests"
VERDICTS = ("met", "partly", "not met", "not applicable")


class Row(NamedTuple):
    """A line of one of the page's tables."""

    requirement: str
    level: str
    asks_for: str
    verdict: str
    where: str
    tests: str
    left_to_you: str


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def filled_in(page: str) -> str:
    """Return the page with what the tests say."""
    marked = marked_tests()
    lines = [_with_tests(line, marked) if row_of(line) else line for line in page.splitlines()]
    rows = [row for row in map(row_of, lines) if row]
    counts = Counter(row.verdict for row in rows)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    summary = f"{len(rows)} requirements: {parts}."
    return re.sub(r"^\d+ requirements: .*$", summary, "\n".join(lines) + "\n", count=1, flags=re.MULTILINE)


def row_of(line: str) -> Row | None:
    """Return a line of the page as a row, `None` if it is none."""
    if not re.match(r"\| (?:[A-Z]+)?\d", line):
        return None
    return Row(*(cell.strip() for cell in line.strip("|").split(" | ")))


def marked_tests() -> dict[str, set[str]]:
    """Return the requirements that each test names, by `file::function` below the folder of the tests."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = {name for decorator in node.decorator_list for name in _requirements_of(decorator)}
                if named:
                    found[f"{path.relative_to(TESTS)}::{node.name}"] = named
    return found


def _with_tests(line: str, marked: dict[str, set[str]]) -> str:
    row = row_of(line)
    assert row is not None
    named = sorted(f"`{test}`" for test, requirements in marked.items() if row.requirement in requirements)
    return f"| {' | '.join(row._replace(tests='<br>'.join(named) or 'none'))} |"


def _requirements_of(decorator: ast.expr) -> list[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        return [ast.literal_eval(argument) for argument in decorator.args]
    return []


if __name__ == "__main__":
    main()
