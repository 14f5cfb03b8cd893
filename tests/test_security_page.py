"""The tables of docs/security.md: what they call met has tests that name it, and no test names anything else."""

from collections import Counter

import pytest

from test_docs import script

making = script("make_security_page")
PAGE = making.PAGE.read_text(encoding="utf-8")
ROWS = [row for row in map(making.row_of, PAGE.splitlines()) if row]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.requirement)
def test_what_is_called_met_or_partly_met_has_tests(row: tuple[str, ...]) -> None:
    _, _, _, verdict, where, tests, _ = row

    assert verdict in making.VERDICTS
    assert where
    assert "::" in tests or verdict not in {"met", "partly"}


def test_the_tests_and_the_counts_are_those_that_there_are() -> None:
    """`python docs/make_security_page.py` writes them."""
    assert making.filled_in(PAGE) == PAGE


def test_no_test_names_a_requirement_that_the_page_does_not_have() -> None:
    named = {name for names in making.marked_tests().values() for name in names}

    assert named <= {row[0] for row in ROWS}


def test_no_requirement_stands_twice() -> None:
    assert [name for name, count in Counter(row[0] for row in ROWS).items() if count > 1] == []
