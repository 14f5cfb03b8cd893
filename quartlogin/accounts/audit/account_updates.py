"""Live updates of open account pages: immediately in this process, within seconds from others."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from logging import getLogger
from typing import Final

from ..database.errors import StoreUnavailable
from ..database.models import Event
from ..store import Store
from .log import MAX_USERS

_INTERVAL: Final = 2.0  # seconds between two queries for events of other processes
_LOOK_BACK: Final = 30  # seconds; clocks of several machines differ, and transactions take time
_MAX_EVENTS: Final = 100  # of one user in one query
_MAX_QUEUED: Final = 100  # events for a page that does not read
_MAX_PAGES: Final = 50  # of one user, in this process

_log = getLogger(__name__)


class AccountUpdates:
    """The open account pages of this process.

    One statement every two seconds serves fifty users together, and none runs while no page is open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: defaultdict[str, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._sent: dict[str, float] = {}
        #: Users whose earlier events are known, so that later ones are news to their pages.
        self._known: set[str] = set()
        self._user_added = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None

    def has_room(self, user_id: str) -> bool:
        """Tell whether this user may open another page."""
        return len(self._pages.get(user_id, ())) < _MAX_PAGES

    @contextmanager
    def listen(self, user_id: str) -> Iterator[AsyncIterator[Event]]:
        """Yield the events of this user's account for as long as the block lasts."""
        page: asyncio.Queue[Event] = asyncio.Queue(_MAX_QUEUED)
        self._pages[user_id].add(page)
        if user_id not in self._known:
            self._user_added.set()
        if self._polling is None:
            self._polling = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield _events(page)
        finally:
            self._pages[user_id].discard(page)
            if not self._pages[user_id]:
                del self._pages[user_id]
                self._known.discard(user_id)
            if not self._pages:
                self._polling.cancel()
                self._polling = None
                self._sent.clear()

    def send(self, event: Event) -> None:
        """Send an event to the pages of its user, unless it was sent already."""
        pages = self._pages.get(event.user_id or "")
        if not pages or event.id in self._sent:
            return
        self._sent[event.id] = time.monotonic()
        for page in pages:
            if not page.full():
                page.put_nowait(event)

    async def _poll(self) -> None:
        """Send the events of other processes; those from before a page was opened are not news to it."""
        while True:
            self._user_added.clear()
            try:
                for user_ids in _in_groups(list(self._pages)):
                    await self._poll_users(user_ids)
            except StoreUnavailable as error:
                _log.warning("Could not query events of other processes for open account pages: %s", error)
            except Exception:  # the next query may succeed
                _log.exception("Could not query events of other processes for open account pages.")
            self._forget_old_events()
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._user_added.wait()

    async def _poll_users(self, user_ids: list[str]) -> None:
        for event in await self._store.events.list_since(int(time.time()) - _LOOK_BACK, user_ids, _MAX_EVENTS):
            if event.user_id in self._known:
                self.send(event)
            else:
                self._sent.setdefault(event.id, time.monotonic())
        self._known.update(user_id for user_id in user_ids if user_id in self._pages)

    def _forget_old_events(self) -> None:
        long_ago = time.monotonic() - 2 * _LOOK_BACK
        self._sent = {event: at for event, at in self._sent.items() if at > long_ago}


async def _events(page: "asyncio.Queue[Event]") -> AsyncIterator[Event]:
    while True:
        yield await page.get()


def _in_groups(user_ids: list[str]) -> Iterator[list[str]]:
    rest = iter(user_ids)
    while some := list(islice(rest, MAX_USERS)):
        yield some
