"""Normalization of usernames: which are equal, and which are invalid."""

from typing import Any
from unicodedata import category, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quartlogin.accounts.users import own
from quartlogin.accounts.users.own import MAX_USERNAME_LENGTH, display_name, normalize_username


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("Ａｌｉｃｅ", "alice"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("STRASSE", "straße"),
        ("ﬁona", "fiona"),
        ("Ⅳ", "iv"),
        ("alice ", "alice"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    assert normalize_username(one) == normalize_username(other)


@pytest.mark.parametrize(
    "name", ["a", "Anne-Marie", "O'Neil", "name@example.com", "李雷", "Дарья", "محمد", "नमिता", "x" * 64]
)
def test_names_of_all_scripts_are_names(name: str) -> None:
    assert normalize_username(name) is not None
    assert display_name(name) == name


def test_a_name_that_grows_too_long_when_it_is_folded_is_none() -> None:
    assert normalize_username("\ufdfa" * 10) is None


@pytest.mark.requirement("15.2.2")
@pytest.mark.parametrize("typed", ["\ufdfa" * 256, "\ufdfa" * 65, "x" * 100_000, "a" + "\u0345\u0334" * 1000])
def test_what_is_too_long_for_a_name_is_never_made_longer(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denial of service: NFKC makes 18 letters of one, so the length is looked at before it, not only behind."""
    sizes: list[int] = []

    def noted(form: Any, text: str) -> str:
        sizes.extend((len(text), len(normalize(form, text))))
        return normalize(form, text)

    monkeypatch.setattr(own, "normalize", noted)

    assert normalize_username(typed) is None
    assert max(sizes, default=0) <= 256


@given(st.text(max_size=80))
@example("ΐ" * 30)
@example("\u1e9e")
def test_a_key_is_its_own_key(name: str) -> None:
    key = normalize_username(name)

    assert key is None or normalize_username(key) == key


@given(st.text(max_size=80))
def test_a_key_never_holds_what_cannot_be_seen(name: str) -> None:
    key = normalize_username(name) or "x"

    assert 1 <= len(key) <= MAX_USERNAME_LENGTH
    assert not [character for character in key if category(character)[0] in "CZ" and character != " "]
    assert normalize("NFKC", key) == key
