"""What happened to the accounts: each event is logged for the operator and told to whoever listens."""

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
from ..database.models import LONGEST_BROWSER, ActingLogin, Event
from ..pages.user_agents import COMMAND_LINE
from ..store import Store

#: One line of JSON for each event, without passwords, cookies and tokens.
AUDIT_LOGGER: Final = "quartlogin.audit"

#: Every kind of event, and what the account page calls it.
KINDS: Final = {
    "registered": "Account created",
    "signed_in": "Signed in",
    "sign_in_failed": "Failed sign-in",
    "signed_in_after_failures": "Signed in after several failed sign-ins",
    "rate_limited": "Attempt refused: too many before it",
    "login_resumed": "Signed in again by “keep me signed in”",
    "signed_out": "Signed out",
    "login_context_changed": "A sign-in was used from another browser or address than it began in",
    "token_reuse_detected": "A copy of a sign-in was used, so it was ended",
    "login_evicted": "Sign-in ended, because there were too many",
    "login_revoked": "Sign-in ended",
    "logins_revoked": "All other sign-ins ended",
    "all_logins_revoked": "Every sign-in and every API token ended by the operator",
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

#: What the operator alone is told of: it is not kept, or whoever tries again and again would fill the database.
LOGGED_ONLY: Final = {
    "access_denied": "A page for people who are signed in was asked for by nobody",
    "reauthentication_required": "A page for people who typed their password lately was asked for by others",
    "object_access_denied": "Somebody tried to end a sign-in or a token that is not theirs, or is not there",
    "csrf_rejected": "A form came without the token of its session",
    "cross_site_request_rejected": "A form, or a websocket, came from another site",
    "malformed_request": "A request named another host, or was none that the application could have been shown",
    "session_refused": "A session cookie was not one of ours, or has expired",
    "remember_refused": "A “keep me signed in” cookie was not one of ours, or has expired",
    "bearer_refused": "An API token was not one of ours, has expired or was revoked",
    "invalid_device_cookie": "The cookie of a browser that knows an account was not one of ours, or has expired",
    "open_redirect_blocked": "A page to come back to was not one of this site",
    "overloaded": "A password was not looked at, because too many others were waiting",
    "database_unavailable": "A request could not be answered, because the database does not",
    "unexpected_error": "A request could not be answered because of a fault; the program's log has the traceback",
}

_ID_BYTES: Final = 6  # behind the time, which keeps the events of one second in order
_audit = getLogger(AUDIT_LOGGER)


class AuditLog:
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
            subject: The public id of the login, or the name of the token, that it is about.
        """
        address, browser = client_info()
        now = time.time()
        event_id = f"{int(now * 1e6):016x}{token_hex(_ID_BYTES)}"
        return Event(event_id, kind, user_id, int(now), address, browser, subject)

    async def record(self, event: Event, by: ActingLogin | None = None, **more: str) -> None:
        """Keep an event that goes with no other change, and tell of it.

        Args:
            event: The event.
            by: The login on whose behalf it was tried, if it was one.
            more: What the operator is told besides.

        Raises:
            LoginEnded: That login does not count; the event is logged, and not kept.
            StoreUnavailable: It could not be kept; it is logged all the same.
        """
        try:
            with suppress(Conflict):  # the account was deleted meanwhile, and its events with it
                if by is None:
                    await self._store.events.add(event)
                else:
                    await self._store.events.add_by(by, event)
        finally:
            self.emit(event, **more)

    def emit(self, event: Event, **more: str) -> None:
        """Log an event that is kept already, and tell the listeners."""
        _audit.info("%s", _as_json(event, more))
        for listener in self.listeners:
            listener(event)

    def warn(self, kind: str, user_id: str | None = None, **more: str) -> None:
        """Log what the operator alone is told.

        Args:
            kind: One of `LOGGED_ONLY`.
            user_id: Who it was, if that is known.
            more: What there is to say besides.
        """
        _audit.warning("%s", _as_json(self.event(kind, user_id), more))

    def warn_unserved(self, address: str, browser: str) -> None:
        """Log a request that is refused before the application sees it.

        Args:
            address: Where it came from.
            browser: What it was sent with, by its own words.
        """
        event = replace(self.event("malformed_request"), address=address, browser=_shown(browser))
        _audit.warning("%s", _as_json(event, {}))


def client_info() -> tuple[str, str]:
    """Return the address that this request comes from, and what its browser calls itself."""
    connection = _connection()
    if connection is None:
        return "", COMMAND_LINE
    return connection.remote_addr or "", _shown(connection.headers.get("User-Agent", ""))


def route() -> str | None:
    """Return which page this request is for: its rule, because an address may have anything in it."""
    connection = _connection()
    rule = None if connection is None else connection.url_rule
    if rule is None:
        return None
    return f"{'WEBSOCKET' if has_websocket_context() else request.method} {rule.rule}"


def _shown(browser: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in browser[:LONGEST_BROWSER])
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
