"""No test depends on the machine's speed: it waits for what it looks at, and no time stands for an event."""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What Playwright answers at once, without arguments, whatever is still loading.
AT_ONCE = {
    *("all", "all_inner_texts", "all_text_contents", "count"),
    *("is_checked", "is_disabled", "is_editable", "is_enabled", "is_hidden", "is_visible"),
}
#: What no assertion reads: `expect` reads it until it is as expected.
READ_ONCE = {"content", "get_attribute", "inner_html", "inner_text", "input_value", "text_content", "title", "url"}

#: A sleep of more than 0.01 seconds and less than a minute; a longer one hangs, for a test of what is given up.
SLEEP = re.compile(r"\bsleep\((0?\.(0[2-9]|[1-9])|[1-5]?[1-9](\.\d+)?\)|[1-5]0\))")
#: A deadline of less than ten seconds for a process, a server or a socket. `browser.wait` moves a clock of the tests.
SHORT = re.compile(
    r"(\btimeout\(|\btimeout=|\bwait_for\(.*, |(?<!browser)\.wait\(|\.join\()(0?\.\d+|[1-9](\.\d+)?)[,)]"
)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the tests, and the scripts of CI, with their paths."""
    for path in [*sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / ".ci").glob("*.py"))]:
        if path != Path(__file__):
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def places(pattern: str, find: Callable[[ast.AST], list[int]]) -> list[str]:
    """Return what is found in the files whose text has the pattern."""
    trees = [(path, ast.parse(text)) for path, text in texts() if re.search(pattern, text)]
    return [f"{path}:{line}" for path, tree in trees for line in find(tree)]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of a method, or of a function of a module, with its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


def parts_of(tree: ast.AST, *kinds: type[ast.AST]) -> set[ast.AST]:
    return {part for node in ast.walk(tree) if isinstance(node, kinds) for part in ast.walk(node)}


def looks_at_once(tree: ast.AST) -> list[int]:
    asked = [call.lineno for name, call in calls(tree) if name in AT_ONCE and not call.args and not call.keywords]
    compared = [part for part in parts_of(tree, ast.Assert) if isinstance(part, ast.Attribute)]
    return [*asked, *(part.lineno for part in compared if part.attr in READ_ONCE)]


def clicks_and_does_not_wait(tree: ast.AST) -> list[int]:
    """Return the lines with a click, or with the Enter key, that nothing follows that waits."""
    clicks = (".click()", ".press('Enter')")
    waits = re.compile(r"expect\(|\w+\.wait_for_url\(")
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    return [
        one.lineno
        for body in bodies
        for one, following in pairwise([*body, ast.Pass()])
        if ast.unparse(one).endswith(clicks) and not waits.match(ast.unparse(following))
    ]


def sleeps(tree: ast.AST) -> list[int]:
    """Return the lines with a sleep that is not repeated until something is true."""
    repeated = parts_of(tree, ast.While, ast.For)
    slept = [call for name, call in calls(tree) if name == "sleep" and call not in repeated]
    return [call.lineno for call in slept if SLEEP.search(ast.unparse(call))]


def test_browser_tests_look_with_assertions_that_wait() -> None:
    assert places("playwright.sync_api", looks_at_once) == []


def test_browser_tests_wait_for_the_page_that_a_click_leads_to() -> None:
    assert places("from chromium import", clicks_and_does_not_wait) == []


def test_no_test_lets_a_fixed_time_stand_for_an_event() -> None:
    assert places(SLEEP.pattern, sleeps) == []


def test_no_deadline_is_so_short_that_a_slow_machine_misses_it() -> None:
    lines = {path: enumerate(text.splitlines(), 1) for path, text in texts()}
    assert [f"{path}:{number}" for path in lines for number, line in lines[path] if SHORT.search(line)] == []
