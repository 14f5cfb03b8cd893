"""Which passwords may be chosen: by length, and not those that a guesser tries first; nothing else is asked of them."""

from collections.abc import Iterable
from unicodedata import normalize

from .common_passwords import is_common, is_made_of
from .passwords import LONGEST_PASSWORD, length


def complaint(password: str, min_length: int, context: Iterable[str] = ()) -> str | None:
    """Say what keeps this from being a new password, `None` if nothing does (NIST SP 800-63B-4, 3.1.1.2).

    Args:
        password: As it was typed.
        min_length: In code points.
        context: Words that a guesser would try here: the site's name, the username.
    """
    size = length(password)
    if size < min_length:
        return f"Use at least {min_length} characters; these are {size}."
    if size > LONGEST_PASSWORD:
        return f"Use at most {LONGEST_PASSWORD} characters; these are {size}."
    composed = normalize("NFC", password)
    if is_common(composed):
        return "Too many people use this password, so it is guessed first: choose another one."
    if is_made_of(composed, context):
        return "This password is made of your name or of this site's: choose another one."
    return None
