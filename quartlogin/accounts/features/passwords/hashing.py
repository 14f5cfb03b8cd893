"""How passwords are hashed and checked: argon2id, in threads of its own, away from the event loop."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import getLogger
from secrets import token_bytes
from typing import Final, TypeVar
from unicodedata import combining, normalize

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from .hash_parameters import MEMORY, TODAY, HashParameters, read_parameters
from .parameters_in_use import ParametersInUse
from .slots import Slots

LONGEST_PASSWORD: Final = 1024  # code points, after NFC

#: More than this is too long in any case; it is not normalised.
_LONGEST_TYPED: Final = 3 * LONGEST_PASSWORD
#: Marks in a row, as in Unicode's stream-safe text (UAX #15, 12.1): the time to order them grows with their square.
MOST_MARKS: Final = 30

#: At most, for one process. Beyond four cores, other processes use the rest.
_MOST_AT_ONCE: Final = 4
#: Places in the queue for each thread. A hash takes a tenth of a second, so nobody waits for more than some seconds.
_WAITING_FOR_A_THREAD: Final = 32
#: By how much hashes give way to pages: beside who is busy all the time they get a thirtieth of a core (sched(7)). With
#: 10 and a tenth, the kernel lets one page in a hundred wait for its next tick.
_NICER: Final = 15

_UNREADABLE: Final = "A stored password hash is not one that argon2 can read: nobody can sign in with it."
_TOO_COSTLY: Final = "A stored password hash costs more than is ever computed: nobody can sign in with it."

T = TypeVar("T")
_log = getLogger(__name__)


@dataclass(frozen=True)
class VerifyResult:
    """What checking a password found out."""

    is_right: bool
    #: A new hash to store instead, if the stored one was made with outdated parameters.
    new_hash: str | None = None


class Overloaded(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """More passwords wait to be checked than will be in a short time."""


class PasswordHashing:
    """Hashes and checks passwords in threads of its own, one hash for each core at a time.

    Args:
        parameters: argon2's; 3 passes over 64 MiB in one lane if `None`.
        cores: How many there are to use; those of this process if `None`.
        key: Decides at which cost an unknown name is answered; each process of a site needs the same.
    """

    def __init__(
        self, parameters: PasswordHasher | None = None, cores: int | None = None, key: bytes | None = None
    ) -> None:
        self._hasher = parameters or PasswordHasher(TODAY.passes, TODAY.memory, TODAY.lanes)
        self._today = _parameters(self._hasher)
        #: What unknown names are answered with.
        self.in_use = ParametersInUse(self._today, key or token_bytes(32))
        #: How many passwords are hashed or checked at once.
        self.threads = min(cores or _cores(), _MOST_AT_ONCE)
        self._pool = ThreadPoolExecutor(
            self.threads, thread_name_prefix="quartlogin-argon2", initializer=_lower_priority
        )
        self._slots = Slots(self.threads)
        self._places = _WAITING_FOR_A_THREAD * self.threads
        self._taken = 0

    @contextmanager
    def reserve_slot(self) -> Iterator[None]:
        """Hold a place in the queue, in which whatever is hashed or checked will be.

        Raises:
            Overloaded: There is none: it would take too long.
        """
        if self._taken >= self._places:
            raise Overloaded(f"{self._taken} passwords are waiting")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def hash(self, password: str) -> str:
        """Hash a new password; returns argon2's PHC string."""
        return await self._in_thread(lambda: self._hasher.hash(_nfc(password)), self._today)

    async def check(
        self, stored_hash: str | None, password: str, *, whose: str = "", renew: bool = True
    ) -> VerifyResult:
        """Compare a password with a stored hash.

        It costs what the stored hash's own parameters cost. Where there is no hash, or none that can be checked, the
        answer is no, at the cost of parameters that are in use.

        Args:
            stored_hash: argon2's PHC string; `None` if there is no such user.
            password: What the visitor typed; longer than 1024 code points is wrong without a look.
            whose: The normalised name that nobody has, or the id of the user whose hash cannot be checked: the same one
                has the same cost each time.
            renew: Whether to make a new hash if this is the password and the stored hash has outdated parameters.
        """
        if length(password) > LONGEST_PASSWORD or has_too_many_marks(password):
            return VerifyResult(is_right=False)
        normalized, stored, drawn = _nfc(password), _usable(stored_hash), self.in_use.draw(whose)
        return await self._in_thread(
            lambda: self._check(stored_hash if stored else None, normalized, drawn, renew=renew), stored or drawn
        )

    def close(self) -> None:
        """Let the threads go; hashes that nobody has begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T], parameters: HashParameters) -> T:
        """Run what computes a hash with these parameters when there are cores and memory for it."""
        slots = self._slots_for(parameters)
        self._taken += slots - 1  # its place in the queue has counted for one
        try:
            return await self._slots.run(slots, self._pool, work)
        finally:
            self._taken -= slots - 1

    def _slots_for(self, parameters: HashParameters) -> int:
        """Count the cores that a hash keeps busy, or the hashes of today's that take as much memory; at most all."""
        of_memory = -(-parameters.memory // MEMORY)
        return min(max(parameters.lanes, of_memory), self.threads)

    def _check(self, stored_hash: str | None, password: str, drawn: HashParameters, *, renew: bool) -> VerifyResult:
        if stored_hash is None:
            return self._verify_dummy(password, drawn)
        try:
            self._hasher.verify(stored_hash, password)
        except VerifyMismatchError:
            return VerifyResult(is_right=False)
        except (ValueError, VerificationError):  # ValueError: argon2's InvalidHashError
            _log.error(_UNREADABLE)
            return self._verify_dummy(password, drawn)
        outdated = renew and self._hasher.check_needs_rehash(stored_hash)
        return VerifyResult(is_right=True, new_hash=self._hasher.hash(password) if outdated else None)

    def _verify_dummy(self, password: str, drawn: HashParameters) -> VerifyResult:
        """Spend what a wrong password costs where there is no hash to compare with."""
        with suppress(VerifyMismatchError):
            self._hasher.verify(drawn.dummy_hash(), password)
        return VerifyResult(is_right=False)


def _lower_priority() -> None:
    """Have this thread's hashes wait for whatever else has something to do, so that pages stay quick.

    On Linux a thread has a priority of its own (setpriority(2)).
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # a sandbox may not let it; then hashes are as important as pages
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _NICER, 19))


def _cores() -> int:
    """Count the cores that this process may use, where the system tells, as Linux does."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def length(password: str) -> int:
    """Count a password's code points as NIST SP 800-63B-4 (3.1.1.2) does: after NFC, if that can be done quickly."""
    if len(password) > _LONGEST_TYPED or has_too_many_marks(password):
        return len(password)
    return len(_nfc(password))


def has_too_many_marks(password: str) -> bool:
    """Tell whether more marks stand in a row than any script has; such a text is never normalised."""
    if password.isascii():
        return False
    in_a_row = 0
    for character in password:
        in_a_row = in_a_row + 1 if combining(character) else 0
        if in_a_row > MOST_MARKS:
            return True
    return False


def _nfc(password: str) -> str:
    return normalize("NFC", password)


def _usable(stored_hash: str | None) -> HashParameters | None:
    """Return the parameters of a stored hash that can be checked; for the operator, say why another cannot be."""
    if stored_hash is None:
        return None
    parameters = read_parameters(stored_hash)
    if parameters is None:
        _log.error(_UNREADABLE)
        return None
    if not parameters.is_within_limits:
        _log.error(_TOO_COSTLY)
        return None
    return parameters


def _parameters(hasher: PasswordHasher) -> HashParameters:
    variant = hasher.type.name.lower()
    return HashParameters(variant, ARGON2_VERSION, hasher.time_cost, hasher.memory_cost, hasher.parallelism)
