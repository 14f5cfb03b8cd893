"""What checking a password costs for a name that nobody has: what it costs for some of those who have an account."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final

from ...users import Users
from .hash_parameters import HashParameters, read_parameters

#: More parameter sets than any site has; the rarest of more are left out, so that a draw stays quick.
_MOST_SETS: Final = 32
_CHANCE_BYTES: Final = 6  # as many as a float holds exactly
_SOME_HASH: Final = "c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"  # behind a hash's parameters, to read them


class ParametersInUse:
    """Draws a parameter set for each unknown name, with the shares that the sets have among the accounts.

    The draw is a keyed hash of the name: the same name gets the same set again, and nobody who lacks the key can tell
    which. Today's set comes first, and then each of the others is taken with its share of what is left. So while old
    hashes are renewed at sign-ins and today's share grows, an unknown name goes from an old set to today's and never
    back, as an account does.

    Args:
        today: What new hashes are made with. It is always in the draw, because the next account may have it.
        key: Secret, and the same in every process.
    """

    def __init__(self, today: HashParameters, key: bytes) -> None:
        self._today = today
        self._key = key
        self._counts: list[tuple[HashParameters, int]] = [(today, 1)]

    def learn(self, counts: Mapping[HashParameters, int]) -> None:
        """Take the place of what is known about how many accounts have which set."""
        others = Counter(counts)
        of_today = max(1, others.pop(self._today, 0))
        self._counts = [(self._today, of_today), *sorted(others.most_common(_MOST_SETS))]

    def draw(self, name: str) -> HashParameters:
        """Return the set of a name that nobody has.

        Args:
            name: Normalised, so that all spellings of it get the same.
        """
        left = sum(count for _, count in self._counts)
        *others, (last, _) = self._counts
        for parameters, count in others:
            if self._chance(name, parameters) * left < count:
                return parameters
            left -= count
        return last

    def _chance(self, name: str, parameters: HashParameters) -> float:
        """Return a number from 0 to below 1 that is a name's own for each set."""
        text = f"{'-'.join(map(str, parameters))}:{name}".encode("utf-8", "replace")
        return int.from_bytes(hmac.digest(self._key, text, "sha256")[:_CHANCE_BYTES]) / (1 << 8 * _CHANCE_BYTES)


async def count_sets(users: Users, batch: int, pause: float = 0, at_most: float = inf) -> Counter[HashParameters]:
    """Count how many users have which parameter set; hashes that are never computed do not count.

    Args:
        users: The users of the database.
        batch: How many of them to read at a time.
        pause: Seconds between two batches, for others to read.
        at_most: How many to look at; who is left out, their random ids decide.
    """
    counts: Counter[HashParameters] = Counter()
    seen, last = 0, ""
    while seen < at_most:
        beginnings, last_of_batch = await users.list_hash_beginnings(last, batch)
        if last_of_batch is None:
            break
        seen, last = seen + len(beginnings), last_of_batch
        for beginning, count in Counter(beginnings).items():
            parameters = read_parameters(f"{beginning}{_SOME_HASH}")
            if parameters is not None and parameters.is_within_limits:
                counts[parameters] += count
        await asyncio.sleep(pause)
    return counts
