"""Why a login is not active, for listeners to the steps of a request: the user loader's statement does not tell."""

from contextlib import suppress
from typing import Final

from ...database.errors import StoreUnavailable
from ...database.interface import Database

_FIND: Final = (
    "SELECT l.user_id, l.kind, l.expires_at, l.seen_at, l.security_stamp, a.security_stamp, a.disabled_at,"
    " a.deleting_at FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id WHERE l.id_hash = $1"
)


async def reason_of_inactivity(database: Database, id_hash: str, user_id: str, now: int, idle_since: int) -> str | None:
    """Return why a login is not active; `None` if it has no record any more, or the database does not respond.

    Args:
        database: The database.
        id_hash: The hash of the login's id.
        user_id: The user whose login it is said to be.
        now: Seconds since 1970.
        idle_since: A sign-in that was not seen since is not active; seconds since 1970.
    """
    rows = []
    with suppress(StoreUnavailable):
        rows = await database.read(_FIND, id_hash)
    if not rows:
        return None
    owner, kind, expires_at, seen_at, stamp, stamp_of_account, disabled_at, deleting_at = rows[0]
    reasons = {
        "of another user": owner != user_id,
        "account disabled": disabled_at is not None,
        "account being deleted": deleting_at is not None,
        "password changed": stamp != stamp_of_account,
        "expired": expires_at <= now,
        "not used for too long": kind == "session" and seen_at <= idle_since,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
