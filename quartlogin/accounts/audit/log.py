"""The audit log: events of accounts are stored, logged and sent to listeners."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from logging import getLogger
from secrets import token_hex
from typing import Any, Final

from quart import has_request_context, has_websocket_context, request, websocket

from ..database.errors import Conflict
from ..database.models import MAX_USER_AGENT_LENGTH, ActingLogin, Event
from ..pages.user_agents import COMMAND_LINE
from ..store import Store

#: Logs one line of JSON for each event, without passwords, cookies and tokens.
AUDIT_LOGGER: Final = "quartlogin.audit"

#: Every stored event, and its title on the account page.
KINDS: Final = {
    "registered": "Account created",
    "signed_in": "Signed in",
    "sign_in_failed": "Failed sign-in",
    "signed_in_after_failures": "Signed in after several failed sign-ins",
    "rate_limited": "Attempt rejected by the rate limit",
    "login_resumed": "Signed in again by “keep me signed in”",
    "signed_out": "Signed out",
    "login_context_changed": "Sign-in used from a different browser or address",
    "token_reuse_detected": "Sign-in ended, because a copy of its cookie was used",
    "login_evicted": "Sign-in ended, because there were too many",
    "login_revoked": "Sign-in ended",
    "logins_revoked": "All other sign-ins ended",
    "all_logins_revoked": "All sign-ins and API tokens ended by the operator",
    "reauthenticated": "Password confirmed",
    "reauthentication_failed": "Wrong password when confirming",
    "password_changed": "Password changed",
    "password_change_failed": "Wrong password when changing the password",
    "password_set": "Password set by the operator",
    "password_change_required": "Password change required by the operator",
    "token_created": "API token created",
    "token_revoked": "API token revoked",
    "user_disabled": "Account disabled by the operator",
    "user_enabled": "Account enabled by the operator",
    "account_deletion_failed": "Wrong password when deleting the account",
    "account_deleted": "Account deleted",
}

#: Events that are logged but not stored: a client that keeps trying would otherwise fill the database.
LOGGED_ONLY: Final = {
    "access_denied": "Unauthenticated request to a protected page",
    "reauthentication_required": "Request to a page that needs a recent sign-in",
    "object_access_denied": "Attempt to end a sign-in or token that belongs to another user or does not exist",
    "csrf_rejected": "Rejected a form without its session's CSRF token",
    "cross_site_request_rejected": "Rejected a form or websocket from another site",
    "malformed_request": "Rejected a malformed request, or one for another host",
    "session_refused": "Rejected a session cookie that is expired or not ours",
    "remember_refused": "Rejected a “keep me signed in” cookie that is expired or not ours",
    "bearer_refused": "Rejected an API token that is expired, revoked or not ours",
    "invalid_device_cookie": "Rejected a device cookie that is expired or not ours",
    "open_redirect_blocked": "Rejected an off-site `next` URL",
    "overloaded": "Rejected a password check because too many others were waiting",
    "database_unavailable": "Could not answer a request because the database does not respond",
    "unexpected_error": "Could not answer a request because of a bug; the program's log has the traceback",
}

_ID_BYTES: Final = 6  # after the time, which keeps the events of one second in order
_audit = getLogger(AUDIT_LOGGER)


class AuditLog:
    """Creates events from requests, stores them, logs them and sends them to listeners."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Called with each event after it is stored.
        self.listeners: list[Callable[[Event], None]] = []

    def event(self, kind: str, user_id: str | None = None, subject: str | None = None) -> Event:
        """Create an event of the current request, or of the command line.

        Args:
            kind: One of `KINDS`.
            user_id: The user whose account it concerns.
            subject: The public id of the login, or the name of the API token, that it concerns.
        """
        address, browser = client_info()
        now = time.time()
        event_id = f"{int(now * 1e6):016x}{token_hex(_ID_BYTES)}"
        return Event(event_id, kind, user_id, int(now), address, browser, subject)

    async def record(self, event: Event, by: ActingLogin | None = None, **more: str) -> None:
        """Store an event that accompanies no other change, and emit it.

        Args:
            event: The event.
            by: The login on whose behalf the action was attempted, if any.
            more: Further fields of the log record.

        Raises:
            LoginEnded: That login is not active; the event is logged but not stored.
            StoreUnavailable: The event could not be stored; it is logged all the same.
        """
        try:
            with suppress(Conflict):  # the account has been deleted meanwhile, and its events with it
                if by is None:
                    await self._store.events.add(event)
                else:
                    await self._store.events.add_by(by, event)
        finally:
            self.emit(event, **more)

    def emit(self, event: Event, **more: str) -> None:
        """Log an event that is already stored, and send it to the listeners."""
        _audit.info("%s", _as_json(event, more))
        for listener in self.listeners:
            listener(event)

    def warn(self, kind: str, user_id: str | None = None, **more: str) -> None:
        """Log an event that is not stored.

        Args:
            kind: One of `LOGGED_ONLY`.
            user_id: The user, if known.
            more: Further fields of the log record.
        """
        _audit.warning("%s", _as_json(self.event(kind, user_id), more))

    def warn_unserved(self, address: str, browser: str) -> None:
        """Log a request that the middleware rejects before the application sees it.

        Args:
            address: The client's address.
            browser: The `User-Agent` header.
        """
        event = replace(self.event("malformed_request"), address=address, browser=_shown(browser))
        _audit.warning("%s", _as_json(event, {}))


def client_info() -> tuple[str, str]:
    """Return the address of the current request's client, and its user agent."""
    connection = _connection()
    if connection is None:
        return "", COMMAND_LINE
    return connection.remote_addr or "", _shown(connection.headers.get("User-Agent", ""))


def route() -> str | None:
    """Return the current request's route: its rule, since a URL may contain anything."""
    connection = _connection()
    rule = None if connection is None else connection.url_rule
    if rule is None:
        return None
    return f"{'WEBSOCKET' if has_websocket_context() else request.method} {rule.rule}"


def _shown(browser: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in browser[:MAX_USER_AGENT_LENGTH])
    return f"“{shown}”" if shown == COMMAND_LINE else shown


def _connection() -> Any:
    if has_request_context():
        return request
    return websocket if has_websocket_context() else None


def _as_json(event: Event, more: dict[str, str]) -> str:
    at = datetime.fromtimestamp(event.happened_at, UTC).isoformat().replace("+00:00", "Z")
    fields = {
        "at": at,
        "event": event.kind,
        "user": event.user_id,
        "address": event.address,
        "browser": event.browser,
        "route": route(),
        "subject": event.subject,
        **more,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})
