"""What somebody who signs in is told of what happened to the account meanwhile."""

from dataclasses import dataclass
from typing import Final

from quart import flash

from ...accounts import services
from ...audit.events import MOST_EVENTS
from ...database.models import User
from ...pages.filters import moment_in_text

#: So many failed sign-ins are no slip of the owner's any more (ASVS 5.0, 6.3.5).
_MANY_FAILURES: Final = 5

#: What somebody is told at the next sign-in whose remember cookie has been used by two browsers.
_COPIED: Final = (
    "A copy of one of your sign-ins was used, so that sign-in was ended. "
    "If you do not know why, change your password and look through your account."
)


@dataclass(frozen=True)
class LoginNotices:
    """What happened between two sign-ins of a user."""

    failures: int
    #: Seconds since 1970; `None` if this is the first.
    last_sign_in: int | None


async def since_last_sign_in(user: User) -> LoginNotices:
    """Return what happened, to be asked before the next sign-in begins."""
    return LoginNotices(*await services().store.events.failures_since_last_sign_in(user.id))


async def tell(user: User, meanwhile: LoginNotices) -> None:
    """Tell a user who has just signed in, on the next page."""
    if await services().store.users.take_token_reuse_at(user.id) is not None:
        await flash(_COPIED)
    if meanwhile.failures < _MANY_FAILURES:
        return
    audit_log = services().accounts.audit_log
    await audit_log.record(audit_log.event("signed_in_after_failures", user.id), failures=str(meanwhile.failures))
    last = "" if meanwhile.last_sign_in is None else f" since the last one, {moment_in_text(meanwhile.last_sign_in)},"
    more = " or more" if meanwhile.failures == MOST_EVENTS else ""
    await flash(
        f"Before this sign-in{last} {meanwhile.failures}{more} attempts have failed. "
        "If they were not yours, look through your account; your password has kept them out."
    )
