"""The audit log: events of accounts are stored, logged, sent to listeners, and limited in number."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from logging import getLogger
from secrets import token_hex
from typing import Any, Final

from quart import has_request_context, has_websocket_context, request, websocket

from ..database.batches import BATCH, remove_all
from ..database.errors import Conflict, StoreUnavailable
from ..database.interface import Database, Transaction
from ..database.locking import lock_for
from ..database.models import MAX_USER_AGENT_LENGTH, ActingLogin, Event
from ..pages.user_agents import COMMAND_LINE
from .kinds import EventKind

#: Logs one line of JSON for each event, without passwords, cookies and tokens.
AUDIT_LOGGER: Final = "quartlogin.audit"

_ID_BYTES: Final = 6  # after the time, which keeps the events of one second in order
_audit = getLogger(AUDIT_LOGGER)
_log = getLogger(__name__)

_INSERT = (
    "INSERT INTO quartlogin_events (id, kind, user_id, happened_at, address, browser, subject)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_DELETE = "DELETE FROM quartlogin_events WHERE id = $1"

#: About how many users one statement can query.
MAX_USERS: Final = 50
#: How many events of each kind an account keeps: the most recent ones. A frequent kind displaces no other.
MAX_EVENTS: Final = 100
#: After this many stored events, the excess events of their accounts are removed.
_MAX_UNCHECKED: Final = 500

#: Each part reads only as many index rows as it returns: a window function would read all events since then.
_SINCE: Final = " UNION ALL ".join(
    "SELECT * FROM (SELECT id, kind, user_id, happened_at, address, browser, subject FROM quartlogin_events"  # noqa: S608 -- numbers only
    f" WHERE user_id = ${number + 3} AND happened_at >= $1 ORDER BY happened_at DESC, id DESC LIMIT $2) AS part"
    for number in range(MAX_USERS)
)
_LIST_SINCE: Final = f"{_SINCE} ORDER BY happened_at, id"


@dataclass(frozen=True)
class Events:
    """The events of one database, newest first.

    Every method raises `StoreUnavailable` when the database does not respond.
    """

    database: Database

    async def add(self, event: Event) -> None:
        """Store an event that accompanies no other change."""
        await self.database.write(_INSERT, *_values(event))

    async def add_by(self, by: ActingLogin, event: Event) -> None:
        """Store an event on behalf of a login, if that is active, whatever is proved in it: it changes nothing else.

        Raises:
            LoginEnded: It is not.
        """

        async def work(transaction: Transaction) -> None:
            await lock_for(transaction, by.user_id, replace(by, requirements=()))
            await self.insert(transaction, event)

        await self.database.transaction(work)

    @staticmethod
    async def insert(transaction: Transaction, event: Event) -> None:
        """Store an event together with the change that it records."""
        await transaction.run(_INSERT, *_values(event))

    async def list_of(self, user_id: str, at_most: int) -> list[Event]:
        """List the most recent events of a user."""
        rows = await self.database.read(
            "SELECT id, kind, user_id, happened_at, address, browser, subject FROM quartlogin_events"
            " WHERE user_id = $1 ORDER BY happened_at DESC, id DESC LIMIT $2",
            *(user_id, at_most),
        )
        return [Event(*row) for row in rows]

    async def failures_since_last_sign_in(self, user_id: str) -> tuple[int, int | None]:
        """Count the failed sign-ins since the last successful one, up to `MAX_EVENTS`.

        Returns:
            The count, and when the last successful sign-in was: seconds since 1970, `None` if there was none.
        """
        rows = await self.database.read(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM quartlogin_events WHERE user_id = $1"
            " AND kind = 'sign_in_failed'"
            " AND id > coalesce((SELECT max(id) FROM quartlogin_events WHERE user_id = $1 AND kind = 'signed_in'), '')"
            " ORDER BY id DESC LIMIT $2) AS failed),"
            " (SELECT happened_at FROM quartlogin_events WHERE user_id = $1 AND kind = 'signed_in'"
            " ORDER BY id DESC LIMIT 1)",
            *(user_id, MAX_EVENTS),
        )
        return int(rows[0][0]), rows[0][1]

    async def list_since(self, happened_at: int, user_ids: Sequence[str], at_most: int) -> list[Event]:
        """List the most recent events of several users since a time, oldest first.

        Args:
            happened_at: Seconds since 1970, inclusive.
            user_ids: At most `MAX_USERS`.
            at_most: How many events of each user: one account's events must not hide another's.
        """
        padded = (*user_ids, *[""] * (MAX_USERS - len(user_ids)))  # one statement, prepared once
        rows = await self.database.read(_LIST_SINCE, happened_at, at_most, *padded)
        return [Event(*row) for row in rows]

    async def remove_excess(self, user_id: str, kind: str, at_most: int) -> int:
        """Remove some of a user's events of one kind, older than the newest `MAX_EVENTS`; return how many."""
        rows = await self.database.read(
            "SELECT id FROM quartlogin_events WHERE user_id = $1 AND kind = $2 ORDER BY id DESC LIMIT $3 OFFSET $4",
            *(user_id, kind, at_most, MAX_EVENTS),
        )
        if rows:
            ids = [(row[0],) for row in rows]
            await self.database.transaction(lambda transaction: transaction.run_many(_DELETE, ids))
        return len(rows)

    async def remove_before(self, happened_at: int, at_most: int) -> int:
        """Remove some older events; return how many."""
        rows = await self.database.write(
            "DELETE FROM quartlogin_events WHERE id IN"
            " (SELECT id FROM quartlogin_events WHERE happened_at < $1 ORDER BY happened_at LIMIT $2) RETURNING id",
            *(happened_at, at_most),
        )
        return len(rows)


class AuditLog:
    """Creates events from requests, stores them, logs them and sends them to listeners.

    Args:
        events: Where they are stored.
        kinds: The kinds of events that exist; any other is refused.
    """

    def __init__(self, events: Events, kinds: Mapping[str, EventKind]) -> None:
        self._events = events
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
                    await self._events.add(event)
                else:
                    await self._events.add_by(by, event)
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


class EventLimit:
    """Keeps the most recent events of each kind of an account: it listens to the audit log.

    It removes the excess after a few hundred stored events, and in each round of `Cleanup`.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        #: The accounts and kinds of the events that were stored since the last removal.
        self._unchecked: set[tuple[str, str]] = set()
        self._count = 0
        self._removing: asyncio.Task[None] | None = None

    def note(self, event: Event) -> None:
        """Note a stored event, which may be one too many."""
        if event.user_id is None:
            return
        self._unchecked.add((event.user_id, event.kind))
        self._count += 1
        if self._count >= _MAX_UNCHECKED and (self._removing is None or self._removing.done()):
            self._removing = asyncio.get_running_loop().create_task(self._remove())

    async def clean(self) -> int:
        """Remove the excess events; return how many."""
        unchecked, self._unchecked, self._count = self._unchecked, set(), 0
        return sum([await remove_all(partial(self._events.remove_excess, *which, BATCH)) for which in unchecked])

    async def stop(self) -> None:
        """Stop, between two batches at the latest."""
        if self._removing is not None:
            self._removing.cancel()
            await asyncio.gather(self._removing, return_exceptions=True)

    async def _remove(self) -> None:
        try:
            await self.clean()
        except StoreUnavailable as error:
            _log.warning("Could not remove excess events: %s", error)
        except Exception:  # the next round may succeed
            _log.exception("Could not remove excess events.")


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


def _values(event: Event) -> tuple[object, ...]:
    return (
        *(event.id, event.kind, event.user_id, event.happened_at),
        *(event.address, event.browser, event.subject),
    )
