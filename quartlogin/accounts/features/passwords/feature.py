"""`Passwords`: sign-in with a password, and changing it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Final

from quart import Blueprint

from quartlogin import ConfigurationError

from ...audit.kinds import EventKind
from ...feature import Feature, check_range
from ...pages.forms import FormPage
from ...security.proofs import PASSWORD
from . import pages
from .events import EVENTS
from .forms import FORM_PAGES
from .hashing import MAX_PASSWORD_LENGTH
from .old_schemes import LIMITS, OldParameters, has_bcrypt, read_beginning

_MIN_LENGTH: Final = 8  # NIST SP 800-63B-4, 3.1.1.2


@dataclass(frozen=True, kw_only=True)
class Passwords(Feature):
    """Sign-in with a password, confirming it, and changing it.

    Raises:
        ConfigurationError: An option is out of range.
    """

    name: ClassVar[str] = "passwords"
    events: ClassVar[Mapping[str, EventKind]] = EVENTS
    forms: ClassVar[tuple[FormPage, ...]] = FORM_PAGES
    proofs: ClassVar[Mapping[str, str | None]] = {PASSWORD: None}

    #: Code points that a new password must have, at least.
    min_length: int = 15
    #: Extra words that a password may not consist of. The site name and the username are always included.
    denylist: Sequence[str] = ()
    #: Failed sign-ins allowed within 15 minutes.
    rate_limit_per_account: int = 10
    #: The same, with registrations.
    rate_limit_per_address: int = 50
    #: The beginnings of hashes that `old_password_hash` of the app's users returns, each up to the salt, such as
    #: `scrypt:32768:8:1`, `pbkdf2:sha256:600000`, `pbkdf2_sha256$870000` or `$2b$12`: unknown names then cost the same.
    old_schemes: Sequence[str] = ()
    #: Called with a password as typed: returns the text that the hashes of `old_password_hash` were computed from, such
    #: as an HMAC of the password under a secret key. Without it, that is the password.
    old_pepper: Callable[[str], str] | None = None
    #: Called with a new password in NFC: does it appear in a data breach? An error or timeout means no.
    is_breached: Callable[[str], Awaitable[bool]] | None = None

    def __post_init__(self) -> None:
        check_range("Passwords", "min_length", self.min_length, (_MIN_LENGTH, MAX_PASSWORD_LENGTH), "characters")
        read_schemes(self.old_schemes)
        _check_pepper(self.old_pepper)
        check_range("Passwords", "rate_limit_per_account", self.rate_limit_per_account, (4, 50), "attempts")
        check_range("Passwords", "rate_limit_per_address", self.rate_limit_per_address, (10, 500), "attempts")

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {
            "password_min_length": self.min_length,
            "password_denylist": tuple(self.denylist),
            "old_password_schemes": tuple(read_schemes(self.old_schemes)),
            "old_password_pepper": self.old_pepper,
            "login_rate_limit_per_account": self.rate_limit_per_account,
            "login_rate_limit_per_address": self.rate_limit_per_address,
        }

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)


def _check_pepper(pepper: Any) -> None:
    """Refuse a pepper that does not return a text.

    Raises:
        ConfigurationError: It does not.
    """
    if pepper is None:
        return
    if iscoroutinefunction(pepper):
        raise ConfigurationError("Passwords(old_pepper=...) is a coroutine function: write it with `def`.")
    try:
        peppered = pepper("a password with ä, ß, 語 and 🔑")
    except Exception as error:
        raise ConfigurationError(f"Passwords(old_pepper=...) failed ({type(error).__name__}): {error!s:.80}") from error
    if not isinstance(peppered, str):
        raise ConfigurationError(f"Passwords(old_pepper=...) returned {type(peppered).__name__}: return a text.")


def read_schemes(beginnings: Iterable[str]) -> list[OldParameters]:
    """Parse the beginnings of old hashes.

    Raises:
        ConfigurationError: One is of no known scheme, or would take too much memory or time to check.
    """
    schemes = []
    for beginning in beginnings:
        parameters = read_beginning(beginning.rstrip("$")) if isinstance(beginning, str) else None
        if parameters is None:
            raise ConfigurationError(
                f"Passwords(old_schemes=...): {beginning!r:.80} is not the beginning of a hash, such as "
                "'scrypt:32768:8:1', 'pbkdf2:sha256:600000', 'pbkdf2_sha256$870000' or '$2b$12'."
            )
        if parameters.scheme == "bcrypt" and not has_bcrypt():
            raise ConfigurationError("Passwords(old_schemes=...) names bcrypt: install quartlogin[bcrypt].")
        if not parameters.is_within_limits:
            raise ConfigurationError(f"Passwords(old_schemes=...): {beginning!r:.80} costs too much. {LIMITS}")
        schemes.append(parameters)
    return schemes
