"""The parameters of hashes: what a stored hash costs to check, which ones are never computed, and which are in use."""

import hmac
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from secrets import token_bytes
from typing import Any, Final, NamedTuple, Protocol

from argon2.low_level import ARGON2_VERSION

#: KiB of memory for a new hash.
MEMORY: Final = 64 * 1024
_PASSES: Final = 3
#: One, so that a hash is computed in one thread, and as many at a time as there are cores. The 48 threads that argon2
#: starts and ends for a hash of four lanes would compete with each other.
_LANES: Final = 1

#: KiB. The largest default of libsodium, PHP, Django and Rails is libsodium's "moderate", of 256 MiB.
MAX_MEMORY: Final = 256 * 1024
#: Passes times KiB, to which the time is proportional (RFC 9106, 3.4): four times a new hash's, which is libsodium's
#: "moderate" again. Every guess makes the server compute it.
MAX_WORK: Final = 4 * _PASSES * MEMORY
#: argon2 starts a thread for each lane and each quarter of a pass, however little memory there is to fill.
MAX_PASSES: Final = 32
#: Each is a thread while it is computed; Django's default has 8.
MAX_LANES: Final = 16

#: The limits in one sentence, for the operator.
LIMITS: Final = f"The maximum is m={MAX_MEMORY}, t={MAX_PASSES}, t times m={MAX_WORK} and p={MAX_LANES}."

_MIN_MEMORY: Final = 8  # KiB for each lane (RFC 9106, 3.1)
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_UNSTATED_VERSION: Final = 16  # argon2's first releases did not write it

#: argon2's PHC string. Every number and text has a maximum length, so that no hash takes long to parse.
_PHC: Final = re.compile(
    r"\$argon2(?P<variant>id|i|d)(?:\$v=(?P<version>16|19))?"
    r"\$m=(?P<memory>[0-9]{1,9}),t=(?P<passes>[0-9]{1,9}),p=(?P<lanes>[0-9]{1,9})"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<hash>[A-Za-z0-9+/]{16,86})"
)

#: More parameter sets than any site has; of more, the rarest are left out, so that a draw stays quick.
_MAX_SETS: Final = 32
_CHANCE_BYTES: Final = 6  # as many as a float represents exactly


class Parameters(Protocol):
    """What determines how long a stored hash of any scheme takes to check. It is immutable and can be a key."""

    @property
    def memory(self) -> int:
        """KiB that it takes to check."""
        ...

    @property
    def lanes(self) -> int:
        """Threads that it takes to check."""
        ...

    @property
    def is_within_limits(self) -> bool:
        """Tell whether a hash with these parameters is ever computed."""
        ...

    def dummy_hash(self) -> str:
        """Return a hash that takes as long to check as a real one, and that no password matches."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Return all values, which together are specific to these parameters."""
        ...


class HashParameters(NamedTuple):
    """A parameter set: everything that determines how long a hash takes to check, and how many cores it uses."""

    #: `id`, `i` or `d`.
    variant: str
    version: int
    passes: int
    #: KiB.
    memory: int
    lanes: int

    @property
    def is_within_limits(self) -> bool:
        """Tell whether a hash with these parameters is ever computed."""
        return (
            _MIN_MEMORY * self.lanes <= self.memory <= MAX_MEMORY
            and 1 <= self.passes <= MAX_PASSES
            and self.passes * self.memory <= MAX_WORK
            and 1 <= self.lanes <= MAX_LANES
        )

    def dummy_hash(self) -> str:
        """Return a hash that takes as long to check as a real one with these parameters, and that no password matches.

        Its result is random instead of computed, so it is available immediately.
        """
        salt, result = (b64encode(token_bytes(size)).decode("ascii").rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES))
        cost = f"m={self.memory},t={self.passes},p={self.lanes}"
        return f"$argon2{self.variant}$v={self.version}${cost}${salt}${result}"


#: The parameters of new hashes: RFC 9106's second choice (4.2), except for the lanes.
TODAY: Final = HashParameters("id", ARGON2_VERSION, _PASSES, MEMORY, _LANES)


def read_parameters(stored_hash: str) -> HashParameters | None:
    """Parse a stored hash's parameter set; `None` if it is not an argon2 hash."""
    found = _PHC.fullmatch(stored_hash)
    if found is None:
        return None
    version = int(found["version"] or _UNSTATED_VERSION)
    return HashParameters(found["variant"], version, *(int(found[name]) for name in ("passes", "memory", "lanes")))


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
