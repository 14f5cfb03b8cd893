"""Password hashes of other libraries: Werkzeug's scrypt and PBKDF2, Django's PBKDF2, and bcrypt.

They are checked, and replaced by argon2 hashes at the next sign-in. Nothing is ever hashed with them.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error
from hmac import compare_digest
from secrets import token_bytes, token_hex
from typing import Final, NamedTuple

from .hash_parameters import MAX_MEMORY

try:
    import bcrypt
except ImportError:  # the extra quartlogin[bcrypt]
    bcrypt = None  # type: ignore[assignment]  # as without it

#: Iterations. Django 6.0 uses 1,200,000; every guess makes the server compute them.
MAX_ITERATIONS: Final = 2_000_000
#: The logarithm of bcrypt's iterations; 14 takes about a second.
MAX_BCRYPT_COST: Final = 14
#: The limits in one sentence, for the operator.
LIMITS: Final = (
    f"The maximum is 128*N*r*p={1024 * MAX_MEMORY} for scrypt, {MAX_ITERATIONS} iterations for PBKDF2 and a cost of "
    f"{MAX_BCRYPT_COST} for bcrypt."
)

_BCRYPT_INPUT: Final = 72  # bytes; bcrypt ignores the rest (its libraries truncate, or refuse)
_SALT: Final = r"(?P<salt>[!-#%-~]{1,128})"  # printable, no $
_SCRYPT: Final = re.compile(r"scrypt:(?P<n>[0-9]{1,9}):(?P<r>[0-9]{1,4}):(?P<p>[0-9]{1,4})")
_WERKZEUG: Final = re.compile(r"pbkdf2:(?P<hash>sha1|sha256|sha512):(?P<iterations>[0-9]{1,9})")
_DJANGO: Final = re.compile(r"pbkdf2_(?P<hash>sha1|sha256)\$(?P<iterations>[0-9]{1,9})")
_BCRYPT: Final = re.compile(r"\$2(?P<variant>[aby])\$(?P<cost>[0-9]{2})")
_HEX: Final = re.compile(rf"\${_SALT}\$(?P<digest>(?:[0-9a-f]{{2}}){{16,64}})")
_BASE64: Final = re.compile(rf"\${_SALT}\$(?P<digest>[A-Za-z0-9+/]{{20,86}}={{0,2}})")
#: The last character of the salt has two significant bits.
_BCRYPT_REST: Final = re.compile(r"\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_SIZES: Final = {"sha1": 20, "sha256": 32, "sha512": 64}  # bytes of a digest
_SCRYPT_SIZE: Final = 64


def has_bcrypt() -> bool:
    """Tell whether the library of the extra `quartlogin[bcrypt]` is installed."""
    return bcrypt is not None


class OldParameters(NamedTuple):
    """A scheme with its cost: everything that determines how long a hash takes to check."""

    #: `scrypt`, `werkzeug`, `django` or `bcrypt`.
    scheme: str
    #: The hash function, or bcrypt's variant; empty for scrypt.
    variant: str
    #: N, r and p; the iterations; or bcrypt's logarithm of them.
    cost: tuple[int, ...]

    @property
    def memory(self) -> int:
        """KiB that it takes to check."""
        if self.scheme != "scrypt":
            return 1
        n, r, p = self.cost
        return max(1, n * r * p // 8)

    @property
    def lanes(self) -> int:
        """Threads that it takes to check."""
        return 1

    @property
    def is_within_limits(self) -> bool:
        """Tell whether a hash with these parameters is ever computed."""
        if self.scheme == "scrypt":
            n, r, p = self.cost
            is_valid = n > 1 and n & (n - 1) == 0 and min(r, p) > 0 and n < 1 << 16 * r  # RFC 7914, 6
            return is_valid and self.memory <= MAX_MEMORY
        if self.scheme == "bcrypt":
            return bcrypt is not None and 4 <= self.cost[0] <= MAX_BCRYPT_COST  # noqa: PLR2004 -- the format's least
        return 1 <= self.cost[0] <= MAX_ITERATIONS

    def dummy_hash(self) -> str:
        """Return a hash that takes as long to check as a real one with these parameters, and that no password matches.

        Its result is random instead of computed, so it is available immediately.
        """
        beginning, salt = self.beginning, token_hex(8)
        if self.scheme == "bcrypt":
            # 22 characters of salt and 31 of result; the last of each has fewer significant bits.
            return f"{beginning}${token_hex(11)[:21]}u{token_hex(15)}u"
        if self.scheme == "django":
            return f"{beginning}${salt}${b64encode(token_bytes(_SIZES[self.variant])).decode()}"
        return f"{beginning}${salt}${token_hex(_SIZES.get(self.variant, _SCRYPT_SIZE))}"

    @property
    def beginning(self) -> str:
        """The part of a hash before its salt."""
        numbers = ":".join(map(str, self.cost))
        return {
            "scrypt": f"scrypt:{numbers}",
            "werkzeug": f"pbkdf2:{self.variant}:{numbers}",
            "django": f"pbkdf2_{self.variant}${numbers}",
            "bcrypt": f"$2{self.variant}${self.cost[0]:02}",
        }[self.scheme]


def read_beginning(text: str) -> OldParameters | None:
    """Parse the part of a hash before its salt; `None` if it is none of these schemes'."""
    if found := _SCRYPT.fullmatch(text):
        return OldParameters("scrypt", "", tuple(int(found[name]) for name in "nrp"))
    if found := _WERKZEUG.fullmatch(text):
        return OldParameters("werkzeug", found["hash"], (int(found["iterations"]),))
    if found := _DJANGO.fullmatch(text):
        return OldParameters("django", found["hash"], (int(found["iterations"]),))
    if found := _BCRYPT.fullmatch(text):
        return OldParameters("bcrypt", found["variant"], (int(found["cost"]),))
    return None


def read_prefix(text: str) -> OldParameters | None:
    """Parse the first part of a hash, which may contain some of its salt; `None` if it is none of these schemes'."""
    for begins in (_SCRYPT, _WERKZEUG, _DJANGO, _BCRYPT):
        found = begins.match(text)
        if found is not None and text[found.end() :][:1] in ("", "$"):
            return read_beginning(found[0])
    return None


def read_old_parameters(stored_hash: str) -> OldParameters | None:
    """Parse a stored hash's scheme and cost; `None` if it is not a complete hash of one of these schemes."""
    parsed = _parse(stored_hash)
    return None if parsed is None else parsed[0]


def verify_old(stored_hash: str, password: str) -> bool:
    """Compare a password, as typed, with a stored hash whose parameters are within the limits."""
    parsed = _parse(stored_hash)
    if parsed is None:
        return False
    parameters, salt, expected = parsed
    typed = password.encode()
    if parameters.scheme == "bcrypt":
        return bcrypt is not None and b"\0" not in typed and bcrypt.checkpw(typed[:_BCRYPT_INPUT], stored_hash.encode())
    if parameters.scheme == "scrypt":
        n, r, p = parameters.cost
        needed = 128 * r * (n + p + 2)  # as OpenSSL counts its buffers
        computed = hashlib.scrypt(typed, salt=salt, n=n, r=r, p=p, maxmem=needed, dklen=len(expected))
    else:
        computed = hashlib.pbkdf2_hmac(parameters.variant, typed, salt, parameters.cost[0], len(expected))
    return compare_digest(computed, expected)


def _parse(stored_hash: str) -> tuple[OldParameters, bytes, bytes] | None:
    """Parse a hash into its parameters, its salt and its result, which has the length that the scheme gives it."""
    for begins, rest in ((_SCRYPT, _HEX), (_WERKZEUG, _HEX), (_DJANGO, _BASE64), (_BCRYPT, _BCRYPT_REST)):
        beginning = begins.match(stored_hash)
        if beginning is None:
            continue
        parameters, found = read_beginning(beginning[0]), rest.fullmatch(stored_hash, beginning.end())
        if parameters is None or found is None:
            return None
        if rest is _BCRYPT_REST:
            return parameters, b"", b""
        expected = _decoded(found["digest"], is_hex=rest is _HEX)
        size = _SIZES.get(parameters.variant, _SCRYPT_SIZE)
        return (parameters, found["salt"].encode(), expected) if len(expected) == size else None
    return None


def _decoded(digest: str, *, is_hex: bool) -> bytes:
    """Decode a digest; one that is malformed is empty, which no scheme's is."""
    try:
        return bytes.fromhex(digest) if is_hex else b64decode(digest, validate=True)
    except (ValueError, Error):
        return b""
