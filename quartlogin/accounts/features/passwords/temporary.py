"""Passwords that the operator hands out and does not choose: random, good for one sign-in within a day."""

from secrets import choice
from typing import Final

from .hashing import LONGEST_PASSWORD

#: Seconds in which somebody has to sign in with one (ASVS 5.0, 6.4.1).
LIFETIME: Final = 24 * 60 * 60

#: Without letters and digits that look alike: it may be read out, or copied from paper.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUP: Final = 5
_FEWEST_GROUPS: Final = 4  # 20 of 31 letters: 99 bits


def temporary_password(min_length: int) -> str:
    """Make one that nobody can guess.

    Args:
        min_length: In characters, as for every password.
    """
    groups = max(_FEWEST_GROUPS, -(-(min_length + 1) // (_GROUP + 1)))
    return "-".join("".join(choice(_LETTERS) for _ in range(_GROUP)) for _ in range(groups))[:LONGEST_PASSWORD]
