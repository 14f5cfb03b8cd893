"""Open account pages, which are told of their account's events: at once in this process, soon from others."""

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
from .events import MOST_USERS

_EVERY: Final = 2.0  # seconds between two looks at what other processes have written
_LOOK_BACK: Final = 30  # seconds; the clocks of several machines differ, and transactions take their time
_AT_MOST: Final = 100  # events of one user in one look
_MOST_WAITING: Final = 100  # events for a page that does not read
_MOST_PAGES: Final = 50  # of one user, in this process

_log = getLogger(__name__)


class AccountUpdates:
    """The open account pages of this process.

    One statement every two seconds serves fifty users together, and none is run while no page is open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: defaultdict[str, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._told: dict[str, float] = {}
        #: Users of whom it is known what had happened when their page was opened.
        self._known: set[str] = set()
        self._somebody_is_new = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def has_room(self, user_id: str) -> bool:
        """Tell whether one more page of this user may be open."""
        return len(self._pages.get(user_id, ())) < _MOST_PAGES

    @contextmanager
    def listen(self, user_id: str) -> Iterator[AsyncIterator[Event]]:
        """Give what happens to this user's account from now on, for as long as the block lasts."""
        page: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)
        self._pages[user_id].add(page)
        if user_id not in self._known:
            self._somebody_is_new.set()
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_again_and_again())
        try:
            yield _events(page)
        finally:
            self._pages[user_id].discard(page)
            if not self._pages[user_id]:
                del self._pages[user_id]
                self._known.discard(user_id)
            if not self._pages:
                self._looking.cancel()
                self._looking = None
                self._told.clear()

    def tell(self, event: Event) -> None:
        """Tell the pages of the event's user, unless they know."""
        pages = self._pages.get(event.user_id or "")
        if not pages or event.id in self._told:
            return
        self._told[event.id] = time.monotonic()
        for page in pages:
            if not page.full():
                page.put_nowait(event)

    async def _look_again_and_again(self) -> None:
        """Tell what other processes have written; what happened before a page was opened is no news to it."""
        while True:
            self._somebody_is_new.clear()
            try:
                for user_ids in _some_at_a_time(list(self._pages)):
                    await self._look(user_ids)
            except StoreUnavailable as error:
                _log.warning("Open account pages cannot be told what happens elsewhere: %s", error)
            except Exception:  # the next look may do better
                _log.exception("Open account pages cannot be told what happens elsewhere.")
            self._forget_what_is_past()
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._somebody_is_new.wait()

    async def _look(self, user_ids: list[str]) -> None:
        for event in await self._store.events.list_since(int(time.time()) - _LOOK_BACK, user_ids, _AT_MOST):
            if event.user_id in self._known:
                self.tell(event)
            else:
                self._told.setdefault(event.id, time.monotonic())
        self._known.update(user_id for user_id in user_ids if user_id in self._pages)

    def _forget_what_is_past(self) -> None:
        long_ago = time.monotonic() - 2 * _LOOK_BACK
        self._told = {event: at for event, at in self._told.items() if at > long_ago}


async def _events(page: "asyncio.Queue[Event]") -> AsyncIterator[Event]:
    while True:
        yield await page.get()


def _some_at_a_time(user_ids: list[str]) -> Iterator[list[str]]:
    rest = iter(user_ids)
    while some := list(islice(rest, MOST_USERS)):
        yield some
