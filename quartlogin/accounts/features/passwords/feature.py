"""`Passwords`: sign-in with a password, and changing it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from quart import Blueprint

from ...feature import check_range
from . import pages
from .hashing import MAX_PASSWORD_LENGTH

_MIN_LENGTH: Final = 8  # NIST SP 800-63B-4, 3.1.1.2


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """Sign-in with a password, confirming it, and changing it.

    Raises:
        ConfigurationError: An option is out of range.
    """

    name: ClassVar[str] = "passwords"

    #: Code points that a new password must have, at least.
    min_length: int = 15
    #: Extra words that a password may not consist of. The site name and the username are always included.
    denylist: tuple[str, ...] = ()
    #: Failed sign-ins allowed within 15 minutes.
    rate_limit_per_account: int = 10
    #: The same, with registrations.
    rate_limit_per_address: int = 50
    #: Called with a new password in NFC: does it appear in a data breach? An error or timeout means no.
    is_breached: Callable[[str], Awaitable[bool]] | None = None

    def __post_init__(self) -> None:
        check_range("Passwords", "min_length", self.min_length, (_MIN_LENGTH, MAX_PASSWORD_LENGTH), "characters")
        check_range("Passwords", "rate_limit_per_account", self.rate_limit_per_account, (4, 50), "attempts")
        check_range("Passwords", "rate_limit_per_address", self.rate_limit_per_address, (10, 500), "attempts")

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {
            "password_min_length": self.min_length,
            "password_denylist": tuple(self.denylist),
            "login_rate_limit_per_account": self.rate_limit_per_account,
            "login_rate_limit_per_address": self.rate_limit_per_address,
        }

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)
