"""Write security/tests.md, the tests that name each requirement, and count the requirements of security.md.

python docs/make_security_page.py
"""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent / "security.md"
TESTS_PAGE = Path(__file__).parent / "security" / "tests.md"
TESTS = Path(__file__).parent.parent / "tests"
VERDICTS = ("met", "partly", "not met", "not applicable")

_HEAD = """# Tests of the security requirements

For each requirement of [the page of requirements](../security.md), the automatic tests that show it, below `tests/`.
`python docs/make_security_page.py` writes this page; a test compares it with the tests."""


class Row(NamedTuple):
    """A line of one of the page's tables."""

    requirement: str
    level: str
    asks_for: str
    verdict: str
    where: str
    left_to_you: str


def main() -> None:
    """Write both pages."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled_in(page), encoding="utf-8")
    TESTS_PAGE.write_text(page_of_tests(page), encoding="utf-8")


def filled_in(page: str) -> str:
    """Return the page of requirements with their count."""
    rows = rows_of(page)
    counts = Counter(row.verdict for row in rows)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    return re.sub(r"^\d+ requirements: .*$", f"{len(rows)} requirements: {parts}.", page, count=1, flags=re.MULTILINE)


def page_of_tests(page: str) -> str:
    """Return the page that lists the tests of each requirement."""
    marked = marked_tests()
    lines = [_HEAD]
    for row in rows_of(page):
        named = sorted(f"`{test}`" for test, requirements in marked.items() if row.requirement in requirements)
        if named:
            lines.append(f"\n## {row.requirement}\n\n{row.asks_for}\n")
            lines.extend(f"- {test}" for test in named)
    return "\n".join(lines) + "\n"


def rows_of(page: str) -> list[Row]:
    """Return the rows of a page's tables."""
    return [row for row in map(row_of, page.splitlines()) if row]


def row_of(line: str) -> Row | None:
    """Return a line of the page as a row, `None` if it is not one."""
    if not re.match(r"\| (?:[A-Z]+)?\d", line):
        return None
    return Row(*(cell.strip() for cell in line.strip("|").split(" | ")))


@cache  # parsing all tests takes a second
def marked_tests() -> dict[str, set[str]]:
    """Return the requirements that each test names, by `file::function` below the folder of the tests."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body if "mark.requirement" in text else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = {name for decorator in node.decorator_list for name in _requirements_of(decorator)}
                if named:
                    found[f"{path.relative_to(TESTS)}::{node.name}"] = named
    return found


def _requirements_of(decorator: ast.expr) -> list[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        return [ast.literal_eval(argument) for argument in decorator.args]
    return []


if __name__ == "__main__":
    main()
