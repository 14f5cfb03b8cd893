"""The parameters of argon2 hashes: what a stored hash costs to check, and which ones are never computed."""

import re
from base64 import b64encode
from secrets import token_bytes
from typing import Final, NamedTuple

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
