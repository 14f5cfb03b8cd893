"""Print the tables of why-not-signed-in.md: each situation that is diagnosed, and the test that makes it.

python docs/make_diagnosis_table.py
"""

import ast
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from quartlogin.explaining.case import Situation

TESTS = Path(__file__).parent.parent / "tests"
FILES = ("extension/test_diagnoses.py", "accounts/test_account_diagnoses.py", "accounts/test_sign_in_steps.py")
HEADINGS = {
    "missing_cookie_rules": "No session cookie came",
    "cookie_rules": "A cookie or a token came, and does not count",
    "login_rules": "The login has ended, or did not begin",
    "loading_rules": "An id came, and led to no user",
    "app_rules": "Mistakes in the app's code",
    "guard_rules": "Guards and login pages",
    "outcome_rules": "Signed in, signed out, and not fresh",
    "diagnosis": "Nothing else applies",
}

_FACT = re.compile(r"(?<!\{)\{(\w+)(?:!r)?\}(?!\})")


def made_by() -> dict[str, list[str]]:
    """Return the names of the tests that make each situation, by the name of its constant."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for test in (test for file in FILES for test in ast.parse((TESTS / file).read_text(encoding="utf-8")).body):
        for mark in test.decorator_list if isinstance(test, ast.AsyncFunctionDef) else []:
            if isinstance(mark, ast.Call) and mark.args and isinstance(mark.args[0], ast.Attribute):
                found[mark.args[0].attr].append(test.name)
    return found


def text_of(sentence: str) -> str:
    """Return a sentence with the names of its facts in italics, except within code."""
    parts = [_FACT.sub(r"\1" if number % 2 else r"*\1*", part) for number, part in enumerate(sentence.split("`"))]
    return "`".join(parts).replace("{{", "{").replace("}}", "}").replace("|", r"\|")


def situations_of(module: str) -> dict[str, Situation]:
    """Return the situations that a module diagnoses, by the names of their constants."""
    contents = vars(import_module(f"quartlogin.explaining.{module}"))
    return {name: value for name, value in contents.items() if isinstance(value, Situation)}


def table_of(module: str, tests: dict[str, list[str]]) -> str:
    """Return the table of one group of situations."""
    lines = ["| situation | diagnosis | cure | test |", "|---|---|---|---|"]
    for constant, value in situations_of(module).items():
        names = "<br>".join(f"`{name}`" for name in tests[constant])
        lines.append(f"| {value.name} | {text_of(value.sentence)} | {text_of(value.cure)} | {names} |")
    return "\n".join(lines)


def make_tables() -> str:
    """Return all tables, each below its heading."""
    tests = made_by()
    return "\n\n".join(f"## {heading}\n\n{table_of(module, tests)}" for module, heading in HEADINGS.items()) + "\n"


if __name__ == "__main__":
    print(make_tables(), end="")
