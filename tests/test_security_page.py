"""The tables of docs/security.md: what they call met has tests that name it, and no test names anything else."""

from collections import Counter

from test_docs import script

making = script("make_security_page")
PAGE = making.PAGE.read_text(encoding="utf-8")
ROWS = [row for row in map(making.row_of, PAGE.splitlines()) if row]


def named() -> set[str]:
    """Return the requirements that tests name."""
    return {name for names in making.marked_tests().values() for name in names}


def test_each_requirement_has_a_verdict_and_a_place() -> None:
    assert [row.requirement for row in ROWS if row.verdict not in making.VERDICTS or not row.where] == []


def test_what_is_called_met_or_partly_met_has_tests() -> None:
    met = {row.requirement for row in ROWS if row.verdict in {"met", "partly"}}

    assert met - named() == set()


def test_the_tests_and_the_counts_are_those_that_there_are() -> None:
    """`python docs/make_security_page.py` writes them."""
    assert making.filled_in(PAGE) == PAGE
    assert making.TESTS_PAGE.read_text(encoding="utf-8") == making.page_of_tests(PAGE)


def test_no_test_names_a_requirement_that_the_page_does_not_have() -> None:
    assert {row[0] for row in ROWS} >= named()


def test_no_requirement_stands_twice() -> None:
    assert [name for name, count in Counter(row[0] for row in ROWS).items() if count > 1] == []
