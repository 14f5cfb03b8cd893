"""The cost of checking a password for an unknown username: drawn from the accounts' costs."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from .hash_parameters import HashParameters, read_parameters
from .old_schemes import Parameters, read_prefix
from .table import PasswordTable

#: More parameter sets than any site has; of more, the rarest are left out, so that a draw stays quick.
_MAX_SETS: Final = 32
_CHANCE_BYTES: Final = 6  # as many as a float represents exactly
_SOME_HASH: Final = "c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"  # follows a hash's parameters, to parse them


class ParametersInUse:
    """Draws a parameter set for each unknown username, in the proportions that the sets have among the accounts.

    The draw is a keyed hash of the username: the same one always gets the same set, and without the key no one can tell
    which. The set of new hashes comes first, and then each of the others with its share of what is left. So while old
    hashes are replaced at sign-ins, an unknown username moves from an old set to the new one and never back, as an
    account does.

    Args:
        today: The parameters of new hashes. They are always in the draw, because the next account may have them.
        key: Secret, and the same in every process.
        declared: Sets of hashes that the app keeps. How many there are is not known: each counts as often as the most
            frequent other one.
    """

    def __init__(self, today: HashParameters, key: bytes, declared: Sequence[Parameters] = ()) -> None:
        self._today = today
        self._key = key
        self._declared = declared
        self._counts: list[tuple[Parameters, int]] = []
        self.learn({})

    def learn(self, counts: Mapping[Parameters, int]) -> None:
        """Replace the known number of accounts for each set."""
        others = Counter(counts)
        of_today = max(1, others.pop(self._today, 0))
        most = max([of_today, *others.values()])
        others.update(dict.fromkeys(self._declared, most))
        self._counts = [(self._today, of_today), *sorted(others.most_common(_MAX_SETS), key=repr)]

    def draw(self, name: str) -> Parameters:
        """Return the set of an unknown username.

        Args:
            name: Normalized, so that all spellings get the same set.
        """
        left = sum(count for _, count in self._counts)
        *others, (last, _) = self._counts
        for parameters, count in others:
            if self._chance(name, parameters) * left < count:
                return parameters
            left -= count
        return last

    def _chance(self, name: str, parameters: Parameters) -> float:
        """Return a number from 0 to below 1 that is specific to a username and a set."""
        text = f"{'-'.join(map(str, parameters))}:{name}".encode("utf-8", "replace")
        return int.from_bytes(hmac.digest(self._key, text, "sha256")[:_CHANCE_BYTES]) / (1 << 8 * _CHANCE_BYTES)


async def count_sets(
    passwords: PasswordTable, batch: int, pause: float = 0, at_most: float = inf
) -> Counter[Parameters]:
    """Count the users of each parameter set, without hashes that are never computed.

    Args:
        passwords: The passwords of the database.
        batch: How many of them to read at a time.
        pause: Seconds between two batches, so that others can read.
        at_most: How many to count; their random ids make it a fair sample.
    """
    counts: Counter[Parameters] = Counter()
    seen, last = 0, ""
    while seen < at_most:
        beginnings, last_of_batch = await passwords.list_hash_prefixes(last, batch)
        if last_of_batch is None:
            break
        seen, last = seen + len(beginnings), last_of_batch
        for beginning, count in Counter(beginnings).items():
            parameters = read_parameters(f"{beginning}{_SOME_HASH}") or read_prefix(beginning)
            if parameters is not None and parameters.is_within_limits:
                counts[parameters] += count
        await asyncio.sleep(pause)
    return counts
