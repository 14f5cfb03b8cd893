"""Temporary passwords, which the operator hands out: random, valid for one sign-in within a day."""

from secrets import choice
from typing import Final

from .hashing import MAX_PASSWORD_LENGTH

#: Seconds within which the user must sign in with one (ASVS 5.0, 6.4.1).
LIFETIME: Final = 24 * 60 * 60

#: Without letters and digits that look alike: it may be read aloud, or copied from paper.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUP: Final = 5
_MIN_GROUPS: Final = 4  # 20 of 31 letters: 99 bits


def temporary_password(min_length: int) -> str:
    """Create a random password.

    Args:
        min_length: Characters, as for every password.
    """
    groups = max(_MIN_GROUPS, -(-(min_length + 1) // (_GROUP + 1)))
    return "-".join("".join(choice(_LETTERS) for _ in range(_GROUP)) for _ in range(groups))[:MAX_PASSWORD_LENGTH]
