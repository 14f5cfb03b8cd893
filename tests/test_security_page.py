"""The tables of docs/security.md: what they call met has tests that name it, and no test names anything else."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
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


ROWS = [
    Row(*(cell.strip() for cell in line.strip("|").split(" | ")))
    for line in PAGE.splitlines()
    if re.match(r"\| (?:[A-Z]+)?\d", line)
]


def marked_tests() -> dict[str, set[str]]:
    """Return the requirements that each test names, by `file::function` below the folder of the tests."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = {name for decorator in node.decorator_list for name in requirements_of(decorator)}
                if named:
                    found[f"{path.relative_to(TESTS)}::{node.name}"] = named
    return found


def requirements_of(decorator: ast.expr) -> list[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        return [ast.literal_eval(argument) for argument in decorator.args]
    return []


MARKED = marked_tests()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.requirement)
def test_a_requirement_that_is_called_met_has_tests_that_name_it(row: Row) -> None:
    named = set(re.findall(r"`([^`]+::[^`]+)`", row.tests))

    assert row.verdict in VERDICTS
    assert named == {test for test, requirements in MARKED.items() if row.requirement in requirements}
    assert named or row.verdict not in {"met", "partly"}


def test_no_test_names_a_requirement_that_the_page_does_not_have() -> None:
    assert {name for names in MARKED.values() for name in names} <= {row.requirement for row in ROWS}


def test_no_requirement_stands_twice() -> None:
    assert [name for name, count in Counter(row.requirement for row in ROWS).items() if count > 1] == []


def test_the_counts_are_those_of_the_tables() -> None:
    counts = Counter(row.verdict for row in ROWS)

    stated = re.search(
        r"^(\d+) requirements: (\d+) met, (\d+) partly, (\d+) not met, (\d+) not applicable\.$", PAGE, re.M
    )

    assert stated is not None
    assert [int(number) for number in stated.groups()] == [len(ROWS), *(counts[verdict] for verdict in VERDICTS)]
