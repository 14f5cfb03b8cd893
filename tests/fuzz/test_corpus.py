"""Everything that the fuzzer was given, and the smallest of what it found, goes through its target once more."""

from collections.abc import Iterator

import pytest
from fuzzed_app import close_fuzzed_app
from targets import CORPUS, SITE, TARGETS, origin_in_a_browser

MOST_FILES = 40
LARGEST_FILE = 16 * 1024  # bytes


@pytest.fixture(scope="module", autouse=True)
def one_app_for_all_inputs() -> Iterator[None]:
    yield
    close_fuzzed_app()


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_is_a_finding(name: str) -> None:
    for path in sorted((CORPUS / name).glob("*")):
        try:
            TARGETS[name](path.read_bytes())
        except BaseException as finding:
            finding.add_note(f"The input is {path.name}.")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_small_corpus(name: str) -> None:
    sizes = [path.stat().st_size for path in (CORPUS / name).glob("*")]

    assert 1 <= len(sizes) <= MOST_FILES
    assert max(sizes) <= LARGEST_FILE


def test_every_corpus_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} == {*TARGETS}


@pytest.mark.parametrize(
    "reference",
    ["//evil", "/\\evil", "\\\\evil", "/\t/evil", "/\n\\evil", " //evil", "https:evil", "x:y", "\x00//evil"],
)
def test_the_judge_of_references_sees_what_leads_elsewhere(reference: str) -> None:
    assert origin_in_a_browser(reference) != SITE


@pytest.mark.parametrize("reference", ["/", "/a//b", "/?next=//evil", "/a:b", "", "#top"])
def test_the_judge_of_references_sees_what_stays(reference: str) -> None:
    assert origin_in_a_browser(reference) == SITE
