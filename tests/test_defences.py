"""The list of defences in tools/ fits the code, and the page in docs/ fits the list.

Whether their tests notice that a defence is gone, `tools/check_defences.py` shows, which CI runs.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from check_defences import PAGE, Defence, page_of, read_defences  # noqa: E402 -- tools/ is no package

DEFENCES = read_defences()


def test_at_least_thirty_defences_are_taken_out() -> None:
    assert len({defence.name for defence in DEFENCES}) == len(DEFENCES) >= 30


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)
def test_a_defence_stands_where_the_list_says_and_its_tests_exist(defence: Defence) -> None:
    for change in defence.changes:
        assert (ROOT / change.file).read_text(encoding="utf-8").count(change.old) == 1, change
    assert defence.tests
    for test in defence.tests:
        path, name = test.split("::")
        functions = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_is_what_the_tool_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of(DEFENCES)
