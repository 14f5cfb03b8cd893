"""How passwords are hashed and checked: argon2id, in threads of its own, away from the event loop."""

import asyncio
import os
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import getLogger
from secrets import token_bytes
from typing import Final, TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from .serial_argon2 import SerialHasher, is_sound

LONGEST_PASSWORD: Final = 1024  # code points, after NFC

#: More than this is too long in any case; it is not normalised, which takes quadratic time for some texts.
_LONGEST_TYPED: Final = 3 * LONGEST_PASSWORD

#: At most, for one process: a hash takes 64 MiB while it is computed. Beyond four cores, other processes use the rest.
_MOST_AT_ONCE: Final = 4
#: Places in the queue for each thread. A hash takes a tenth of a second, so nobody waits for more than some seconds.
_WAITING_FOR_A_THREAD: Final = 32
#: By how much hashes give way to pages: beside who is busy all the time they get a thirtieth of a core (sched(7)). With
#: 10 and a tenth, the kernel lets one page in a hundred wait for its next tick.
_NICER: Final = 15
#: KiB for each lane: argon2 takes no less (RFC 9106, 3.1).
_LEAST_MEMORY: Final = 8

T = TypeVar("T")
_log = getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What checking a password found out."""

    is_right: bool
    #: A new hash to store instead, if the stored one was made with outdated parameters.
    new_hash: str | None = None


class Overloaded(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """More passwords wait to be checked than will be in a short time."""


class Passwords:
    """Hashes and checks passwords in threads of its own, one hash for each core at a time.

    Args:
        parameters: argon2's; argon2-cffi's current default profile (3 passes, 64 MiB, 4 lanes) if `None`.
        cores: How many there are to use; those of this process if `None`.
    """

    def __init__(self, parameters: PasswordHasher | None = None, cores: int | None = None) -> None:
        self._hasher = _hasher(parameters or PasswordHasher())
        self._decoy = _hash_of_nothing(self._hasher)
        #: How many passwords are hashed or checked at once.
        self.threads = _threads(self._hasher, cores or _cores())
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="quartlogin-argon2", initializer=_give_way)
        self._places = _WAITING_FOR_A_THREAD * self.threads
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
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
        return await self._in_thread(lambda: self._hasher.hash(_nfc(password)))

    async def check(self, stored_hash: str | None, password: str) -> Verdict:
        """Compare a password with a stored hash.

        Without a hash the answer is no, at the same cost. The same holds for a hash that argon2 cannot read.

        Args:
            stored_hash: argon2's PHC string; `None` if there is no such user.
            password: What the visitor typed; longer than 1024 code points is wrong without a look.
        """
        if length(password) > LONGEST_PASSWORD:
            return Verdict(is_right=False)
        normalized = _nfc(password)
        return await self._in_thread(lambda: self._check(stored_hash, normalized))

    def close(self) -> None:
        """Let the thread go; hashes that nobody has begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _check(self, stored_hash: str | None, password: str) -> Verdict:
        if stored_hash is None:
            self._verify_decoy(password)
            return Verdict(is_right=False)
        try:
            self._hasher.verify(stored_hash, password)
        except VerifyMismatchError:
            self._make_up_for(stored_hash, password)
            return Verdict(is_right=False)
        except (ValueError, VerificationError):  # ValueError: argon2's InvalidHashError, or not even ASCII
            _log.error("A stored password hash is not one that argon2 can read: nobody can sign in with it.")
            self._verify_decoy(password)
            return Verdict(is_right=False)
        outdated = self._hasher.check_needs_rehash(stored_hash)
        return Verdict(is_right=True, new_hash=self._hasher.hash(password) if outdated else None)

    def _make_up_for(self, stored_hash: str, password: str) -> None:
        """Spend the time that comparing with an outdated, cheaper hash has saved: or it would tell that there is one.

        What argon2 takes is in proportion to passes times memory (RFC 9106, 3.4).
        """
        today, stored = self._hasher, extract_parameters(stored_hash)
        saved = today.memory_cost * today.time_cost - stored.memory_cost * stored.time_cost
        memory = saved // today.time_cost
        if memory >= _LEAST_MEMORY * today.parallelism:
            type(today)(today.time_cost, memory, today.parallelism).hash(password)

    def _verify_decoy(self, password: str) -> None:
        try:
            self._hasher.verify(self._decoy, password)
        except VerifyMismatchError:
            return


def _hasher(parameters: PasswordHasher) -> PasswordHasher:
    """Return what hashes with these parameters: in one thread, unless this version of argon2-cffi cannot be told to."""
    if not is_sound():
        _log.warning("This version of argon2-cffi does not compute a hash in one thread; its lanes have threads again.")
        return parameters
    names = ("time_cost", "memory_cost", "parallelism", "hash_len", "salt_len", "encoding", "type")
    return SerialHasher(**{name: getattr(parameters, name) for name in names})


def _threads(hasher: PasswordHasher, cores: int) -> int:
    """Count the hashes that fill the cores."""
    if isinstance(hasher, SerialHasher):
        return min(cores, _MOST_AT_ONCE)
    return max(1, cores // hasher.parallelism)


def _give_way() -> None:
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
    """Count a password's code points as NIST SP 800-63B-4 (3.1.1.2) does: after NFC, unless it is hopelessly long."""
    return len(password) if len(password) > _LONGEST_TYPED else len(_nfc(password))


def _nfc(password: str) -> str:
    return normalize("NFC", password)


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """Write a hash that costs what a real one costs to check and that no password has.

    Its result is random instead of computed, so the start of the program need not wait for it.
    """
    salt, result = (
        b64encode(token_bytes(size)).decode("ascii").rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v={ARGON2_VERSION}${cost}${salt}${result}"
