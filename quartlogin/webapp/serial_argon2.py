"""argon2 in one thread: the lanes of a hash are computed in turn, instead of each by a thread that is begun for it."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from hmac import compare_digest
from os import urandom
from typing import Final, Literal

from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type, core, error_to_str, ffi, hash_secret_raw

_OK: Final = 0


class SerialHasher(PasswordHasher):
    """Makes and verifies the same hashes as argon2-cffi's `PasswordHasher`, each in the thread that asks for it.

    Who computes a lane is not part of a hash (RFC 9106, 3.4: the lanes of a slice do not read from each other), but
    argon2-cffi begins and ends a thread for each lane and slice: 48 for a hash of four lanes and three passes. With as
    many hashes at a time as there are cores these only stand in each other's way, and in that of every other thread.

    What a hash takes is in proportion to its passes times its memory, whatever its lanes.
    """

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Hash a password; returns a PHC string.

        Raises:
            HashingError: argon2 does not take these parameters.
        """
        salt = salt or urandom(self.salt_len)
        parameters = Parameters(
            type=self.type,
            version=ARGON2_VERSION,
            salt_len=len(salt),
            hash_len=self.hash_len,
            time_cost=self.time_cost,
            memory_cost=self.memory_cost,
            parallelism=self.parallelism,
        )
        hashed, error = _compute(self._bytes(password), salt, parameters)
        if error != _OK:
            raise HashingError(error_to_str(error))
        cost = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        return f"$argon2{self.type.name.lower()}$v={ARGON2_VERSION}${cost}${_encoded(salt)}${_encoded(hashed)}"

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 -- argon2-cffi's name
        """Verify that this is the password of a hash.

        Raises:
            VerifyMismatchError: It is another's.
            InvalidHashError: This is no PHC string of argon2.
            VerificationError: argon2 does not take its parameters.
        """
        stored = hash if isinstance(hash, str) else hash.decode("ascii")
        parameters = extract_parameters(stored)
        salt, expected = map(_decoded, stored.split("$")[-2:])
        try:
            hashed, error = _compute(self._bytes(password), salt, parameters)
        except OverflowError:  # a number that is less than 0, or not of 32 bits
            raise InvalidHashError from None
        if error != _OK:
            raise VerificationError(error_to_str(error))
        if not compare_digest(hashed, expected):
            raise VerifyMismatchError
        return True

    def _bytes(self, password: str | bytes) -> bytes:
        return password.encode(self.encoding) if isinstance(password, str) else password


def is_sound() -> bool:
    """Tell whether what is computed here is what argon2-cffi computes.

    `core` hands over argon2's own structure, which its documentation says may change with any release. After such a
    change nobody could sign in, or worse, passwords would be stored that nobody can verify.
    """
    secret, salt = b"what is hashed", b"and its salt"
    parameters = Parameters(Type.ID, ARGON2_VERSION, len(salt), 32, time_cost=2, memory_cost=32, parallelism=4)
    try:
        computed, error = _compute(secret, salt, parameters)
    except Exception:  # whatever a changed structure makes of it
        return False
    return error == _OK and compare_digest(computed, hash_secret_raw(secret, salt, 2, 32, 4, 32, Type.ID))


def _compute(secret: bytes, salt: bytes, parameters: Parameters) -> tuple[bytes, int]:
    """Return what argon2 makes of a secret, and argon2's error code."""
    hashed = ffi.new("uint8_t[]", parameters.hash_len)
    held = ffi.from_buffer("uint8_t[]", secret), ffi.from_buffer("uint8_t[]", salt)  # as long as the call takes
    context = ffi.new(
        "argon2_context *",
        {
            "out": hashed,
            "outlen": parameters.hash_len,
            "pwd": held[0],
            "pwdlen": len(secret),
            "salt": held[1],
            "saltlen": len(salt),
            "t_cost": parameters.time_cost,
            "m_cost": parameters.memory_cost,
            "lanes": parameters.parallelism,
            "threads": 1,
            "version": parameters.version,
        },
    )
    error = core(context, parameters.type.value)
    return bytes(ffi.buffer(hashed)), error


def _encoded(data: bytes) -> str:
    return b64encode(data).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (NotBase64, ValueError):  # ValueError: not even ASCII
        raise InvalidHashError from None
