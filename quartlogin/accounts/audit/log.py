"""The audit log: events of accounts are stored, logged and sent to listeners."""

import json
import time
from collections.abc import Callable, Mapping
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
from .kinds import EventKind

#: Logs one line of JSON for each event, without passwords, cookies and tokens.
AUDIT_LOGGER: Final = "quartlogin.audit"

_ID_BYTES: Final = 6  # after the time, which keeps the events of one second in order
_audit = getLogger(AUDIT_LOGGER)


class AuditLog:
    """Creates events from requests, stores them, logs them and sends them to listeners.

    Args:
        store: Where they are stored.
        kinds: The kinds of events that exist; any other is refused.
    """

    def __init__(self, store: Store, kinds: Mapping[str, EventKind]) -> None:
        self._store = store
        self._kinds = kinds
        #: Called with each event after it is stored.
        self.listeners: list[Callable[[Event], None]] = []

    def event(self, kind: str, user_id: str | None = None, subject: str | None = None) -> Event:
        """Create an event of the current request, or of the command line.

        Args:
            kind: A kind of events that are stored.
            user_id: The user whose account it concerns.
            subject: The public id of the login, or the name of the API token, that it concerns.

        Raises:
            ValueError: There is no such kind.
        """
        self._check(kind, is_logged_only=False)
        return self._create(kind, user_id, subject)

    def describe(self, kind: str, subject: str | None = None) -> str:
        """Return an event in words; the name of its kind if a feature recorded it that is not given any more."""
        known = self._kinds.get(kind)
        return kind if known is None else known.describe(subject)

    @staticmethod
    def _create(kind: str, user_id: str | None, subject: str | None = None) -> Event:
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
            kind: A kind of events that are only logged.
            user_id: The user, if known.
            more: Further fields of the log record.

        Raises:
            ValueError: There is no such kind.
        """
        self._check(kind, is_logged_only=True)
        _audit.warning("%s", _as_json(self._create(kind, user_id), more))

    def warn_unserved(self, address: str, browser: str) -> None:
        """Log a request that the middleware rejects before the application sees it.

        Args:
            address: The client's address.
            browser: The `User-Agent` header.
        """
        event = replace(self._create("malformed_request", None), address=address, browser=_shown(browser))
        _audit.warning("%s", _as_json(event, {}))

    def _check(self, kind: str, *, is_logged_only: bool) -> None:
        known = self._kinds.get(kind)
        if known is None or known.is_logged_only != is_logged_only:
            what = "logged only" if is_logged_only else "stored"
            raise ValueError(f"No feature declares an event {kind!r} that is {what}: add it to `Feature.events`.")


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
