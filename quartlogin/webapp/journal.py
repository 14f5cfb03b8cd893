"""What happened to the accounts: each event is logged for the operator and told to whoever listens."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from logging import getLogger
from secrets import token_hex
from typing import Any, Final

from quart import has_request_context, has_websocket_context, request, websocket

from .browsers import COMMAND_LINE
from .store import LONGEST_BROWSER, Conflict, Event, Store

#: One line of JSON for each event, without passwords, cookies and tokens.
AUDIT_LOGGER: Final = "quartlogin.audit"

#: Every kind of event, and what the account page calls it.
KINDS: Final = {
    "registered": "Account created",
    "signed_in": "Signed in",
    "sign_in_failed": "Failed sign-in",
    "signed_in_after_failures": "Signed in after several failed sign-ins",
    "attempt_throttled": "Attempt refused: too many before it",
    "came_back": "Signed in again by “keep me signed in”",
    "signed_out": "Signed out",
    "login_moved": "A sign-in was used from another browser or address than it began in",
    "login_copied": "A copy of a sign-in was used, so it was ended",
    "login_crowded_out": "Sign-in ended, because there were too many",
    "login_revoked": "Sign-in ended",
    "logins_revoked": "All other sign-ins ended",
    "everyone_signed_out": "Every sign-in and every API token ended by the operator",
    "reauthenticated": "Password confirmed",
    "reauthentication_failed": "Wrong password at a confirmation",
    "password_changed": "Password changed",
    "password_change_failed": "Wrong password at a change of password",
    "password_set": "Password set by the operator",
    "password_change_required": "Change of the password required by the operator",
    "token_created": "API token made",
    "token_revoked": "API token revoked",
    "user_disabled": "Account disabled by the operator",
    "user_enabled": "Account enabled by the operator",
    "account_deletion_failed": "Wrong password at a deletion of the account",
    "account_deleted": "Account deleted",
}

_ID_BYTES: Final = 6  # behind the time, which keeps the events of one second in order
_audit = getLogger(AUDIT_LOGGER)


class Journal:
    """Makes events of requests, keeps them, and tells of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Called with each event after it is kept.
        self.listeners: list[Callable[[Event], None]] = []

    def event(self, kind: str, user_id: str | None = None, subject: str | None = None) -> Event:
        """Make an event of what happens in this request, or on the command line.

        Args:
            kind: One of `KINDS`.
            user_id: Whose account it is about.
            subject: The ref of the login, or the name of the token, that it is about.
        """
        address, browser = where()
        now = time.time()
        event_id = f"{int(now * 1e6):016x}{token_hex(_ID_BYTES)}"
        return Event(event_id, kind, user_id, int(now), address, browser, subject)

    async def write(self, event: Event, **more: str) -> None:
        """Keep an event that goes with no other change, and tell of it.

        Args:
            event: The event.
            more: What the operator is told besides.

        Raises:
            StoreUnavailable: It could not be kept; it is logged all the same.
        """
        try:
            with suppress(Conflict):  # the account was deleted meanwhile, and its events with it
                await self._store.events.add(event)
        finally:
            self.tell(event, **more)

    def tell(self, event: Event, **more: str) -> None:
        """Log an event that is kept already, and tell the listeners."""
        _audit.info("%s", _as_json(event, more))
        for listener in self.listeners:
            listener(event)


def where() -> tuple[str, str]:
    """Return the address that this request comes from, and what its browser calls itself."""
    if not (has_request_context() or has_websocket_context()):
        return "", COMMAND_LINE
    connection: Any = request if has_request_context() else websocket
    browser = connection.headers.get("User-Agent", "")[:LONGEST_BROWSER]
    shown = "".join(letter if letter.isprintable() else "?" for letter in browser)
    return connection.remote_addr or "", f"“{shown}”" if shown == COMMAND_LINE else shown


def _as_json(event: Event, more: dict[str, str]) -> str:
    at = datetime.fromtimestamp(event.happened_at, UTC).isoformat().replace("+00:00", "Z")
    fields = {
        "at": at,
        "event": event.kind,
        "user": event.user_id,
        "address": event.address,
        "browser": event.browser,
        "subject": event.subject,
        **more,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})
