"""What a username may look like, and when two of them are the same."""

import re
from typing import Final
from unicodedata import category, normalize

LONGEST_USERNAME: Final = 64  # code points, after NFC

#: The rule in one sentence, for the form.
RULE: Final = f"Use 1 to {LONGEST_USERNAME} letters and digits; spaces and . _ - @ + ' may stand between them."

_PUNCTUATION: Final = frozenset(" ._-@+'")
_TRIMMED: Final = " "  # what phones like to add behind a word

#: Letters and marks that show nothing at all, or what looks like a space (Unicode's default ignorables and fillers).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00013441\U00013442\U00016fe4\U000e0100-\U000e01ef]"
)


#: More than this is no name, before it is normalised: that takes quadratic time for some texts.
_LONGEST_TYPED: Final = 4 * LONGEST_USERNAME


def display_name(typed: str) -> str:
    """Return the name to show: as it was typed, less spaces around it, in NFC."""
    return normalize("NFC", typed.strip(_TRIMMED))


def normalize_username(typed: str) -> str | None:
    """Return what stands for this name when names are compared, `None` if it is not a name at all.

    Names that differ only in case, in width or in how their accents are composed have the same key: NFKC and case
    folding (Unicode Standard, 3.13, D146).
    """
    if len(typed) > _LONGEST_TYPED:
        return None
    name = display_name(typed)
    if not _is_well_formed(name):
        return None
    wide = normalize("NFKC", name)
    if len(wide) > _LONGEST_TYPED:  # one character may stand for 18, and nothing makes them so few again
        return None
    key = normalize("NFKC", wide.casefold())
    return key if _is_well_formed(key) else None


def validate_username(typed: str) -> str | None:
    """Say what keeps this from being a username, `None` if nothing does."""
    if normalize_username(typed) is not None:
        return None
    size = len(typed.strip(_TRIMMED))
    if size == 0:
        return "Choose a username."
    if size > LONGEST_USERNAME:
        return f"Use at most {LONGEST_USERNAME} characters; these are {size}."
    return "This name has a character that names cannot have, or does not begin and end with a letter or digit."


def _is_well_formed(name: str) -> bool:
    if not 1 <= len(name) <= LONGEST_USERNAME or "  " in name or _INVISIBLE.search(name):
        return False
    if not (_is_letter_or_digit(name[0]) and _is_letter_or_digit(name[-1], marks=True)):
        return False
    return all(_is_letter_or_digit(character, marks=True) or character in _PUNCTUATION for character in name)


def _is_letter_or_digit(character: str, *, marks: bool = False) -> bool:
    return category(character)[0] in ("LNM" if marks else "LN")
