"""The password policy: a minimum length and a denylist, and no other rules."""

from collections.abc import Iterable
from typing import Final
from unicodedata import normalize

from .denylist import is_common, is_context_specific
from .hashing import MAX_MARKS, MAX_PASSWORD_LENGTH, has_too_many_marks, is_utf8, length

#: Characters of a word, also normalized: a full-width letter may expand to 18. A longer one is no word.
_MAX_WORD_LENGTH: Final = 256


def is_same(one: str, other: str) -> bool:
    """Tell whether two passwords that are not too long are the same."""
    return normalize("NFC", one) == normalize("NFC", other)


def validate_password(password: str, min_length: int, context: Iterable[str] = ()) -> str | None:
    """Return why this cannot be a new password, `None` if it can (NIST SP 800-63B-4, 3.1.1.2).

    Args:
        password: As entered.
        min_length: Code points.
        context: Words that an attacker tries first at this site, such as its name and the username.
    """
    size = length(password)
    if size < min_length:
        return f"Use at least {min_length} characters (you entered {size})."
    if size > MAX_PASSWORD_LENGTH:
        return f"Use at most {MAX_PASSWORD_LENGTH} characters (you entered {size})."
    if has_too_many_marks(password):
        return f"Use at most {MAX_MARKS} accents or other marks in a row."
    composed = normalize("NFC", password)
    if is_common(composed) or not is_utf8(composed):
        return "This password is too common. Choose a different one."
    if is_context_specific(composed, _normalized_forms(context)):
        return "This password consists of your username or this site's name. Choose a different one."
    return None


def _normalized_forms(words: Iterable[str]) -> set[str]:
    """Return words as they occur in a password in NFC, also with full-width letters as plain ones."""
    forms = (normalize(form, word) for word in words if len(word) <= _MAX_WORD_LENGTH for form in ("NFC", "NFKC"))
    return {form for form in forms if len(form) <= _MAX_WORD_LENGTH}
