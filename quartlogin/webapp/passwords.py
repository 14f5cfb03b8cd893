"""How passwords are hashed and checked: argon2id, in a thread of its own, away from the event loop."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from logging import getLogger
from secrets import token_bytes
from typing import Final, TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

LONGEST_PASSWORD: Final = 1024  # code points, after NFC

#: More than this is too long in any case; it is not normalised, which takes quadratic time for some texts.
_LONGEST_TYPED: Final = 3 * LONGEST_PASSWORD

T = TypeVar("T")
_log = getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What checking a password found out."""

    is_right: bool
    #: A new hash to store instead, if the stored one was made with outdated parameters.
    new_hash: str | None = None


class Passwords:
    """Hashes and checks passwords in one thread.

    One hash has four lanes and fills two cores by itself: a second thread adds nothing to the rate and makes every
    other page wait.

    Args:
        hasher: The parameters; argon2-cffi's current default profile (3 passes, 64 MiB, 4 lanes) if `None`.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._decoy = _hash_of_nothing(self._hasher)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="quartlogin-argon2")

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
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _check(self, stored_hash: str | None, password: str) -> Verdict:
        if stored_hash is None:
            self._verify_decoy(password)
            return Verdict(is_right=False)
        try:
            self._hasher.verify(stored_hash, password)
        except VerifyMismatchError:
            return Verdict(is_right=False)
        except (ValueError, VerificationError):  # ValueError: argon2's InvalidHashError, or not even ASCII
            _log.error("A stored password hash is not one that argon2 can read: nobody can sign in with it.")
            self._verify_decoy(password)
            return Verdict(is_right=False)
        outdated = self._hasher.check_needs_rehash(stored_hash)
        return Verdict(is_right=True, new_hash=self._hasher.hash(password) if outdated else None)

    def _verify_decoy(self, password: str) -> None:
        try:
            self._hasher.verify(self._decoy, password)
        except VerifyMismatchError:
            return


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
