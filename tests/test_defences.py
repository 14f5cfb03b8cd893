"""The list of defences in tools/ fits the code, and the page in docs/ fits the list.

Whether their tests notice that a defence is gone, `tools/check_defences.py` shows, which CI runs.
"""

import ast
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from check_defences import PAGE, page_of, read_defences  # noqa: E402 -- tools/ is no package

DEFENCES = read_defences()


def test_at_least_thirty_defences_are_taken_out() -> None:
    assert len({defence.name for defence in DEFENCES}) == len(DEFENCES) >= 30


def test_each_defence_stands_where_the_list_says() -> None:
    lost = [
        change
        for defence in DEFENCES
        for change in defence.changes
        if (ROOT / change.file).read_text(encoding="utf-8").count(change.old) != 1
    ]

    assert lost == []


def test_the_tests_of_each_defence_exist() -> None:
    assert [defence.name for defence in DEFENCES if not defence.tests] == []
    assert [test for defence in DEFENCES for test in defence.tests if not exists(test)] == []


def exists(test: str) -> bool:
    path, name = test.split("::")
    return name in functions_of(ROOT / path)


@cache
def functions_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else []
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_is_what_the_tool_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of(DEFENCES)
