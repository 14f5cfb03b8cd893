"""Password hashing with argon2id, in separate threads, away from the event loop."""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from secrets import token_bytes, token_hex
from time import perf_counter
from typing import Any, Final, TypeVar
from unicodedata import combining, normalize

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from quartlogin import tracing

from .hash_parameters import MEMORY, TODAY, HashParameters, Parameters, ParametersInUse, read_parameters
from .old_schemes import OldParameters, read_old_parameters, verify_old

MAX_PASSWORD_LENGTH: Final = 1024  # code points, after NFC

#: Anything longer is too long in any case, and is not normalized.
_MAX_INPUT: Final = 3 * MAX_PASSWORD_LENGTH
#: Marks in a row, as in Unicode's stream-safe text (UAX #15, 12.1): the time to order them grows with their square.
MAX_MARKS: Final = 30

#: Threads of one process. Beyond four cores, other processes use the rest.
_MAX_THREADS: Final = 4
#: Places in the queue for each thread. A hash takes a tenth of a second, so the wait is a few seconds at most.
_QUEUE_PER_THREAD: Final = 32
#: How much lower the priority of hashing is: beside a busy thread it gets a thirtieth of a core (sched(7)). With 10 and
#: a tenth, the kernel lets one page in a hundred wait for its next tick.
_NICENESS: Final = 15

_UNREADABLE: Final = "A stored password hash is of no known scheme: no one can sign in with it."
_TOO_COSTLY: Final = "A stored password hash exceeds the limits for its cost: no one can sign in with it."

T = TypeVar("T")
_log = getLogger(__name__)


@dataclass(frozen=True)
class VerifyResult:
    """The result of checking a password."""

    is_right: bool
    #: A new hash to store instead, if the stored one has outdated parameters.
    new_hash: str | None = None


class Overloaded(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """Too many passwords are waiting to be checked."""


class PasswordHashing:
    """Hashes and checks passwords in separate threads, one hash for each core at a time.

    Args:
        parameters: argon2's; 3 passes over 64 MiB in one lane if `None`.
        cores: The number of cores to use; those of this process if `None`.
        key: Determines the cost of each unknown username; every process of a site needs the same.
        declared: The parameters of hashes that the app keeps.
    """

    def __init__(
        self,
        parameters: PasswordHasher | None = None,
        cores: int | None = None,
        key: bytes | None = None,
        declared: Sequence[Parameters] = (),
    ) -> None:
        self._hasher = parameters or PasswordHasher(TODAY.passes, TODAY.memory, TODAY.lanes)
        self._today = _parameters(self._hasher)
        #: The costs at which unknown usernames are answered.
        self.in_use = ParametersInUse(self._today, key or token_bytes(32), declared)
        #: How many passwords are hashed or checked at once.
        self.threads = min(cores or _cores(), _MAX_THREADS)
        self._renew_threads()
        self._capacity = _QUEUE_PER_THREAD * self.threads
        self._taken = 0

    @contextmanager
    def reserve_slot(self) -> Iterator[None]:
        """Reserve a place in the queue for one hash or check.

        Raises:
            Overloaded: The queue is full: it would take too long.
        """
        if self._taken >= self._capacity:
            raise Overloaded(f"{self._taken} passwords are waiting")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def hash(self, password: str) -> str:
        """Hash a new password; return argon2's PHC string."""
        return await self._in_thread(lambda: self._hasher.hash(_nfc(password)), self._today)

    async def check(
        self,
        stored_hash: str | None,
        password: str,
        *,
        cost_key: str = "",
        renew: bool = True,
        as_typed: bool = False,
        pepper: Callable[[str], str] | None = None,
    ) -> VerifyResult:
        """Compare a password with a stored hash.

        It takes as long as the stored hash's own parameters require. Without a hash, or with one that cannot be
        checked, the result is negative, at the cost of parameters that are in use.

        Args:
            stored_hash: argon2's PHC string, or a hash of an old scheme; `None` if there is no such user.
            password: As entered; if longer than 1024 code points, or not text, it is wrong without being
                checked.
            cost_key: Determines the cost if no hash can be checked: the normalized unknown username, or the user's id.
            renew: Whether to compute a new hash if the password is correct and the stored hash has outdated parameters.
            as_typed: Whether an argon2 hash was computed from the password as typed, and not from its NFC.
            pepper: Returns the text that the hash was computed from, if that is not the password; no new hash is then
                computed.
        """
        if length(password) > MAX_PASSWORD_LENGTH or has_too_many_marks(password) or not is_utf8(password):
            return VerifyResult(is_right=False)
        if pepper is not None:
            password, renew = _peppered(pepper, password), False
        stored, drawn = _usable(stored_hash), self.in_use.draw(cost_key)
        if isinstance(stored, OldParameters):
            return await self._in_thread(lambda: self._check_old(stored_hash or "", password, renew=renew), stored)
        text = password if as_typed else _nfc(password)
        return await self._in_thread(
            lambda: self._check(stored_hash if stored else None, text, drawn, renew=renew), stored or drawn
        )

    def close(self) -> None:
        """End the threads; pending hashes are dropped. An app that starts again gets new threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._renew_threads()

    def _renew_threads(self) -> None:
        self._pool = ThreadPoolExecutor(
            self.threads, thread_name_prefix="quartlogin-argon2", initializer=_lower_priority
        )
        self._slots = Slots(self.threads)

    async def _in_thread(self, work: Callable[[], T], parameters: Parameters) -> T:
        """Compute a hash with these parameters as soon as cores and memory are free."""
        slots = self._slots_for(parameters)
        self._taken += slots - 1  # its place in the queue counts as one already
        try:
            if tracing.listeners:
                return await self._tell_hashing(slots, work)
            return await self._slots.run(slots, self._pool, work)
        finally:
            self._taken -= slots - 1

    async def _tell_hashing(self, slots: int, work: Callable[[], T]) -> T:
        """Compute a hash, and tell how long that took, and how long it waited before."""
        asked = perf_counter()

        def timed() -> tuple[T, float, float]:
            began = perf_counter()
            result = work()
            return result, began, perf_counter()

        result, began, ended = await self._slots.run(slots, self._pool, timed)
        tracing.tell("hashing", ended - began, waited=began - asked)
        return result

    def _slots_for(self, parameters: Parameters) -> int:
        """Return the slots that a hash needs: one for each lane or for each new hash's memory; at most all."""
        of_memory = -(-parameters.memory // MEMORY)
        return min(max(parameters.lanes, of_memory), self.threads)

    def _check(self, stored_hash: str | None, password: str, drawn: Parameters, *, renew: bool) -> VerifyResult:
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

    def _check_old(self, stored_hash: str, password: str, *, renew: bool) -> VerifyResult:
        if not verify_old(stored_hash, password):
            return VerifyResult(is_right=False)
        return VerifyResult(is_right=True, new_hash=self._hasher.hash(_nfc(password)) if renew else None)

    def _verify_dummy(self, password: str, drawn: Parameters) -> VerifyResult:
        """Spend the time of a wrong password when there is no hash to compare with."""
        if isinstance(drawn, OldParameters):
            verify_old(drawn.dummy_hash(), password)
            return VerifyResult(is_right=False)
        with suppress(VerifyMismatchError):
            self._hasher.verify(drawn.dummy_hash(), password)
        return VerifyResult(is_right=False)


class Slots:
    """Runs work in threads, each piece in as many slots as it needs.

    Slots are granted in order of arrival, even if later work would fit first: otherwise work of many slots would never
    get them. Work takes all of its slots at once, and waits for no others while it holds them, so there is no deadlock.

    Work of one slot is queued for the threads in advance, so that each continues without the event loop; there is one
    thread for each slot, so no more of it runs at a time. Only work of several slots waits here, and is waited for.

    Args:
        count: The number of slots, and of threads.
    """

    def __init__(self, count: int) -> None:
        #: Free slots; negative if work of one slot is queued for a thread.
        self._free = self._count = count
        self._running_wide = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def run(self, slots: int, threads: Executor, work: Callable[[], T]) -> T:
        """Run work in a thread as soon as its slots are free; it holds them until it ends, even if the caller is gone.

        Args:
            slots: The number of slots, at most all of them.
            threads: Where it runs: one thread for each slot.
            work: Called in a thread.
        """
        await self._acquire(slots)
        release = partial(self._release_from_thread, asyncio.get_running_loop(), slots)
        try:
            running = threads.submit(work)
        except RuntimeError:  # shut down
            self._release(slots)
            raise
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    @property
    def in_use(self) -> int:
        """The number of slots that are taken."""
        return self._count - max(self._free, 0)

    @property
    def waiting(self) -> int:
        """The number of pieces of work that wait: here, or for a thread."""
        return len(self._waiting) + max(-self._free, 0)

    async def _acquire(self, slots: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((slots, turn))
        self._serve_next()
        if tracing.listeners:
            self._tell()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve_next()  # those behind it may have waited for this one only
            else:
                self._release(slots)
            raise

    def _serve_next(self) -> None:
        while self._waiting:
            slots, turn = self._waiting[0]
            if not turn.cancelled():
                if slots > self._free and (slots > 1 or self._running_wide):
                    return
                self._take(slots, 1)
                turn.set_result(None)
            self._waiting.popleft()

    def _release(self, slots: int) -> None:
        self._take(-slots, -1)
        self._serve_next()
        if tracing.listeners:
            self._tell()

    def _tell(self) -> None:
        tracing.tell("hashing_queue", waiting=self.waiting, in_use=self.in_use)

    def _take(self, slots: int, pieces: int) -> None:
        self._free -= slots
        self._running_wide += pieces if abs(slots) > 1 else 0

    def _release_from_thread(self, loop: asyncio.AbstractEventLoop, slots: int, _: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop is closed, and no one waits any more
            loop.call_soon_threadsafe(self._release, slots)


def _lower_priority() -> None:
    """Lower this thread's priority, so that hashing delays no page.

    On Linux each thread has its own priority (setpriority(2)).
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # a sandbox may forbid it; then hashes are as important as pages
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS, 19))


def _cores() -> int:
    """Return the number of cores that this process may use, where the system reports it, as Linux does."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def length(password: str) -> int:
    """Count a password's code points as NIST SP 800-63B-4 (3.1.1.2) does: after NFC, if that is quick."""
    if len(password) > _MAX_INPUT or has_too_many_marks(password):
        return len(password)
    return len(_nfc(password))


def has_too_many_marks(password: str) -> bool:
    """Tell whether more marks follow each other than in any script; such a text is never normalized."""
    if password.isascii():
        return False
    in_a_row = 0
    for character in password:
        in_a_row = in_a_row + 1 if combining(character) else 0
        if in_a_row > MAX_MARKS:
            return True
    return False


def is_utf8(password: str) -> bool:
    """Tell whether a password can be encoded: JSON may contain half of a surrogate pair."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


def _peppered(pepper: Callable[[str], str], password: str) -> str:
    """Return the text that the app's hash was made of; a random one, which is wrong, if the function fails.

    An error would be answered 500 for names with such a hash, and tell them from unknown ones.
    """
    try:
        peppered = pepper(password)
    except Exception:
        _log.exception("Passwords(old_pepper=...) failed: the password was taken for a wrong one.")
        return token_hex()
    return peppered if isinstance(peppered, str) else token_hex()


def _nfc(password: str) -> str:
    return normalize("NFC", password)


def _usable(stored_hash: str | None) -> Parameters | None:
    """Return the parameters of a stored hash that can be checked; otherwise log why it cannot."""
    if stored_hash is None:
        return None
    parameters = read_parameters(stored_hash) or read_old_parameters(stored_hash)
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
