"""Passwords rejected as common or context-specific."""

from pathlib import Path
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartlogin.accounts.features.passwords import denylist
from quartlogin.accounts.features.passwords.denylist import is_common, is_context_specific
from quartlogin.webapp.settings import Settings

LIST = Path(denylist.__file__).with_name("common_passwords.txt")
ENTRIES = LIST.read_text(encoding="utf-8").removesuffix("\n").split("\n")

#: What somebody who guesses Alice Smith's password for login.example.org knows.
WORDS = ["Alice Smith", "login.example.org"]


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "p@ssw0rd",
        "1qaz2wsx3edc",
        "passwordpassword",
        "123456789012345",
        "qwertyuiopasdfg",
        "1q2w3e4r5t6y7u8i",
        "iloveyouforever",
        "manchesterunited",
        "thisismypassword",
    ],
)
def test_a_password_that_many_people_use_is_common(password: str) -> None:
    assert is_common(password)


@pytest.mark.parametrize("password", ["Password", "PASSWORDPASSWORD", "ILoveYouForever", "MANCHESTERUnited"])
def test_capital_letters_make_no_other_password(password: str) -> None:
    assert is_common(password)


@pytest.mark.parametrize("password", ["A" * 1024, "!" * 40, "ß" * 20, "\U0001f600" * 15])
def test_uncommon_passwords_of_any_composition_are_allowed(password: str) -> None:
    assert not is_common(password)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "correct horse battery staple",
        "passwordqzjwkfmxutrbpelcdnaoi",
        "qzjwkfmxutrbpelcdnaoipassword",
        " password",
        "password\n",
        "password\npassword1",
    ],
)
@pytest.mark.requirement("N7")
def test_the_whole_password_is_compared(password: str) -> None:
    assert not is_common(password)


@given(st.sampled_from(ENTRIES))
def test_each_entry_is_common(password: str) -> None:
    assert is_common(password)


@pytest.mark.requirement("6.2.4")
def test_3000_entries_are_long_enough_for_the_policy() -> None:
    shortest = Settings().password_min_length

    assert len([entry for entry in ENTRIES if len(entry) >= shortest]) >= 3000


def test_the_list_is_sorted_and_names_nothing_twice() -> None:
    assert sorted(set(ENTRIES)) == ENTRIES


def test_the_list_holds_only_what_a_password_could_be_once_it_is_folded() -> None:
    unreachable = [entry for entry in ENTRIES if normalize("NFC", entry).casefold() != entry or len(entry) < 8]

    assert unreachable == []


def test_the_list_holds_no_character_that_is_not_seen_and_no_space_around_a_password() -> None:
    unseen = [entry for entry in ENTRIES if {category(character)[0] for character in entry} & {"C"}]
    spaced = [entry for entry in ENTRIES if entry != entry.strip()]

    assert (unseen, spaced) == ([], [])


def test_the_list_holds_no_address_of_a_person() -> None:
    addresses = [entry for entry in ENTRIES if "." in entry.partition("@")[2]]

    assert addresses == []


def test_the_list_stays_small() -> None:
    assert LIST.stat().st_size < 500_000


@pytest.mark.parametrize(
    "password",
    [
        "alicesmith",
        "ALICESMITHALICESMITH",
        "alicealicealicealice",
        "alice.smith@example.org",
        "smith, alice",
        "Alice Smith 2024",
        "2024alice2024",
        "alicelogin123456789",
        "alice-example-org-1",
        "login.example.org",
        "//login.example.org/",
        "alicesmith!!!!!!!!!!",
        "xxxxxxxxxxalicesmith",
        "!alice!example!2024!",
        "loginexampleorgalice00000000",
        "alice٠١٢٣٤٥٦٧٨٩",
    ],
)
def test_a_password_of_context_words_alone_is_context_specific(password: str) -> None:
    assert is_context_specific(password, WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "correct horse battery staple",
        "alicesmithqzjwkfmxutrbpelcdnaoi",
        "qzjwkfmxutrbpelcdnaoi alice smith",
        "alice likes no example",
        "alicexyxyxyxyxy",
        "alice!?alice!?",
        "8374019263740192",
        "...............",
        "malice aforethought",
    ],
)
def test_a_password_that_holds_anything_else_is_one_of_its_own(password: str) -> None:
    assert not is_context_specific(password, WORDS)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("alice2025alice2025", "alice2024"),
        ("2023118820231188", "20231188"),
        ("straßestrasse", "STRASSE"),
        ("annabelannannabel", "ann-annabel"),
        ("a+b(c)a+b(c)", "a+b(c)"),
        ("李雷李雷李雷李雷", "李雷"),
        ("नमितानमिता", "नमिता"),
        ("o'neiloneil", "O'Neil"),
    ],
)
def test_names_of_all_kinds_are_found(password: str, word: str) -> None:
    assert is_context_specific(password, [word])


@pytest.mark.parametrize("words", [[], [""], [" "], ["-"], ["x"], ["7"]])
def test_a_name_of_less_than_two_characters_makes_no_password(words: list[str]) -> None:
    assert not is_context_specific("7x7x7x7 x7x7x7x7", words)


@given(st.lists(st.sampled_from(["alice", "smith", "alicesmith", "example", "-", " ", "2024", "!", "7"]), min_size=1))
def test_whatever_is_put_together_from_the_words_and_padding_is_made_of_them(parts: list[str]) -> None:
    assert is_context_specific("alice" + "".join(parts), WORDS)


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=4))
def test_whatever_is_typed_there_is_an_answer(password: str, words: list[str]) -> None:
    assert is_context_specific(password, words) in {True, False}
    assert is_common(password) in {True, False}


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("a" * 999_998 + "xy", ["a" * 63 + "b"]),
        ("ab" * 500_000 + "xy", ["abab", "abababab", "ab" * 31 + "cd"]),
        ("-" * 999_999 + "x", ["alice"]),
        ("1" * 999_999 + "x", ["alice"]),
        ("alice" * 200_000 + "xy", ["a", "al", "ali", "alic", "alice", "alicealice"]),
    ],
    ids=["almost the word", "parts of the word", "separators", "digits", "words in words"],
)
def test_hostile_text_of_a_million_characters_is_answered(password: str, words: list[str]) -> None:
    """Anything quadratic would take hours: a password has 1024 characters at most."""
    assert not is_common(password)
    assert not is_context_specific(password, words)
