"""Which passwords may be chosen: by length, and not those that a guesser tries first; nothing else is asked of them."""

from collections.abc import Iterable
from typing import Final
from unicodedata import normalize

from .denylist import is_common, is_context_specific
from .hashing import LONGEST_PASSWORD, MOST_MARKS, has_too_many_marks, length

#: Characters of a word, as it is and normalised: a letter of full width may stand for 18. A longer one is no word.
_LONGEST_WORD: Final = 256


def is_same(one: str, other: str) -> bool:
    """Tell whether two passwords that are not too long are one."""
    return normalize("NFC", one) == normalize("NFC", other)


def validate_password(password: str, min_length: int, context: Iterable[str] = ()) -> str | None:
    """Say what keeps this from being a new password, `None` if nothing does (NIST SP 800-63B-4, 3.1.1.2).

    Args:
        password: As it was typed.
        min_length: In code points.
        context: Words that a guesser would try here: those of the site, the username.
    """
    size = length(password)
    if size < min_length:
        return f"Use at least {min_length} characters; these are {size}."
    if size > LONGEST_PASSWORD:
        return f"Use at most {LONGEST_PASSWORD} characters; these are {size}."
    if has_too_many_marks(password):
        return f"Use at most {MOST_MARKS} accents or other marks in a row."
    composed = normalize("NFC", password)
    if is_common(composed):
        return "Too many people use this password, so it is guessed first: choose another one."
    if is_context_specific(composed, _as_they_may_be_typed(context)):
        return "This password is made of your name or of this site's: choose another one."
    return None


def _as_they_may_be_typed(words: Iterable[str]) -> set[str]:
    """Return words as a password in NFC has them, and with letters of full width as plain ones."""
    forms = (normalize(form, word) for word in words if len(word) <= _LONGEST_WORD for form in ("NFC", "NFKC"))
    return {form for form in forms if len(form) <= _LONGEST_WORD}
