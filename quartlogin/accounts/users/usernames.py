"""Usernames: validation, normalization and display."""

import re
from typing import Final
from unicodedata import category, normalize

MAX_USERNAME_LENGTH: Final = 64  # code points, after NFC

#: The rule in one sentence, for forms.
RULE: Final = f"Use 1 to {MAX_USERNAME_LENGTH} letters and digits, with spaces and . _ - @ + ' between them."

_PUNCTUATION: Final = frozenset(" ._-@+'")
_TRIMMED: Final = " "  # phones add one after a word

#: Letters and marks that show nothing, or look like a space (Unicode's default ignorables and fillers).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00013441\U00013442\U00016fe4\U000e0100-\U000e01ef]"
)


#: Anything longer is no username, even before it is normalized: that takes quadratic time for some texts.
_MAX_INPUT: Final = 4 * MAX_USERNAME_LENGTH


def display_name(typed: str) -> str:
    """Return the username as entered, without surrounding spaces, in NFC."""
    return normalize("NFC", typed.strip(_TRIMMED))


def normalize_username(typed: str) -> str | None:
    """Return the form in which usernames are compared, `None` if this is not a valid username.

    Usernames that differ only in case, width or composition of accents have the same form: NFKC and case folding
    (Unicode Standard, 3.13, D146).
    """
    if len(typed) > _MAX_INPUT:
        return None
    name = display_name(typed)
    if not _is_well_formed(name):
        return None
    wide = normalize("NFKC", name)
    if len(wide) > _MAX_INPUT:  # one character may expand to 18, and nothing shortens them again
        return None
    key = normalize("NFKC", wide.casefold())
    return key if _is_well_formed(key) else None


def validate_username(typed: str) -> str | None:
    """Return why this is not a valid username, `None` if it is."""
    if normalize_username(typed) is not None:
        return None
    size = len(typed.strip(_TRIMMED))
    if size == 0:
        return "Choose a username."
    if size > MAX_USERNAME_LENGTH:
        return f"Use at most {MAX_USERNAME_LENGTH} characters (you entered {size})."
    return "Use only letters, digits, spaces and . _ - @ + ', and begin and end with a letter or digit."


def _is_well_formed(name: str) -> bool:
    if not 1 <= len(name) <= MAX_USERNAME_LENGTH or "  " in name or _INVISIBLE.search(name):
        return False
    if not (_is_letter_or_digit(name[0]) and _is_letter_or_digit(name[-1], marks=True)):
        return False
    return all(_is_letter_or_digit(character, marks=True) or character in _PUNCTUATION for character in name)


def _is_letter_or_digit(character: str, *, marks: bool = False) -> bool:
    return category(character)[0] in ("LNM" if marks else "LN")
