"""Notices about an account's activity, shown after a sign-in."""

from dataclasses import dataclass
from typing import Final

from quart import flash

from ...audit.log import MAX_EVENTS
from ...context import current_accounts
from ...database.models import Account
from ...pages.filters import time_as_text

#: From this number on, failed sign-ins are more than the owner's typing errors (ASVS 5.0, 6.3.5).
_MANY_FAILURES: Final = 5

_REUSE_NOTICE: Final = (
    "A copy of one of your “keep me signed in” cookies was used, so that sign-in was ended. "
    "If you do not know why, change your password and check your recent activity."
)


@dataclass(frozen=True)
class Activity:
    """The activity of an account between two sign-ins."""

    failures: int
    #: Seconds since 1970; `None` before the first.
    last_sign_in: int | None


async def activity_since_last_sign_in(account: Account) -> Activity:
    """Return the account's activity since its last sign-in; call it before the next one is stored."""
    return Activity(*await current_accounts().store.events.failures_since_last_sign_in(account.user_id))


async def show_notices(account: Account, activity: Activity) -> None:
    """Flash the notices of a user who has just signed in."""
    accounts = current_accounts()
    if await accounts.store.accounts.take_token_reuse_at(account.user_id) is not None:
        await flash(_REUSE_NOTICE)
    if activity.failures < _MANY_FAILURES:
        return
    event = accounts.audit_log.event("signed_in_after_failures", account.user_id)
    await accounts.audit_log.record(event, failures=str(activity.failures))
    count = f"{activity.failures}{' or more' if activity.failures == MAX_EVENTS else ''}"
    last = activity.last_sign_in
    since = "" if last is None else f" since your last sign-in on {time_as_text(last)}"
    await flash(f"{count} failed sign-in attempts{since}. If they weren't yours, check your recent activity.")
