"""`Logins`: logins on record, which users can list and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from quart import Blueprint

from ...audit.kinds import EventKind
from ...context import current_accounts
from ...database.models import AccountLogin
from ...feature import Feature, check_duration, check_range
from ...pages.forms import FormPage
from . import pages
from .events import EVENTS
from .forms import FORM_PAGES

if TYPE_CHECKING:
    import click

    from ...store import Store

_BOUNDS: Final = (timedelta(minutes=5), timedelta(days=30))  # NIST SP 800-63B-4, 2.1.3


@dataclass(frozen=True, kw_only=True)
class Logins(Feature):
    """Logins on record: listing, ending, signing out.

    Raises:
        ConfigurationError: An option is out of range.
    """

    name: ClassVar[str] = "logins"
    events: ClassVar[Mapping[str, EventKind]] = EVENTS
    forms: ClassVar[tuple[FormPage, ...]] = FORM_PAGES

    #: How long an unused sign-in stays active.
    idle_timeout: timedelta = timedelta(days=14)
    #: How long a sign-in stays active at most.
    lifetime: timedelta = timedelta(days=30)
    #: Concurrent sign-ins of a user; a new one ends the least recently used.
    max_per_user: int = 50

    def __post_init__(self) -> None:
        check_duration("Logins", "idle_timeout", self.idle_timeout, _BOUNDS)
        check_duration("Logins", "lifetime", self.lifetime, _BOUNDS)
        check_range("Logins", "max_per_user", self.max_per_user, (1, 1000), "sign-ins")

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {
            "login_idle_timeout": self.idle_timeout,
            "login_lifetime": self.lifetime,
            "max_logins_per_user": self.max_per_user,
        }

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)

    async def panel(self, login: AccountLogin) -> Mapping[str, Any]:
        """List the sign-ins, this one first."""
        logins = await current_accounts().logins.list_of(login.user_id)
        sign_ins = [row for row in logins if row.kind == "session"]
        return {
            "this_login": login.public_id,
            "sign_ins": sorted(sign_ins, key=lambda row: row.public_id != login.public_id),
        }

    def commands(self) -> "Sequence[click.Command]":
        """Return the group `logins`."""
        from .commands import logins  # noqa: PLC0415 -- an app that is served needs no command

        return (logins,)

    async def remove_expired(self, store: "Store", now: int, at_most: int) -> int:
        """Remove expired logins."""
        return await store.logins.remove_expired(now, at_most)
