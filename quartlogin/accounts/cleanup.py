"""What is done beside the requests: removing what has expired or is too much, counting what hashes cost."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import count
from logging import getLogger
from typing import Final

from .database.errors import StoreUnavailable
from .database.models import Event
from .features.passwords.hash_parameters import HashParameters
from .features.passwords.parameters_in_use import count_sets
from .store import Store

_BATCH: Final = 100  # rows; what a transaction of so many takes, nobody notices
_PAUSE: Final = 0.1  # seconds between two batches, for others to write
_FIRST: Final = 60  # seconds after the start, when there is other work to do
_EVERY: Final = 600  # seconds between two rounds
_COUNTED_AT_ONCE: Final = 200  # users; a batch is read in two milliseconds, and a million users in ten minutes
_COUNTED_AT_START: Final = 10_000  # users, before anybody is served; what shares they have, is right within a percent
_ROUNDS_BETWEEN_COUNTS: Final = 6  # hashes are renewed slowly

#: Seconds after the last attempt from an address, or of a device cookie or login: no delay is longer than a day.
_KEEP_SHORT_LIVED: Final = 3 * 24 * 60 * 60
#: Seconds after the last attempt under a name that nobody has: as with a user's, who guesses gains nothing by waiting.
_KEEP_ATTEMPTS: Final = 365 * 24 * 60 * 60

#: So many events are written before those of their accounts that are too many are removed.
_MOST_UNCHECKED: Final = 500

_log = getLogger(__name__)


class EventLimit:
    """Keeps the last events of each kind of an account, whatever it does: it listens to what is written.

    It looks when a few hundred events were written since, and in each round of `Housekeeping`.
    """

    def __init__(self, store: Store) -> None:
        self._events = store.events
        #: The accounts and kinds of the events that were written since the last look.
        self._unchecked: set[tuple[str, str]] = set()
        self._count = 0
        self._removing: asyncio.Task[None] | None = None

    def note(self, event: Event) -> None:
        """Note an event that was written; it may be one too many."""
        if event.user_id is None:
            return
        self._unchecked.add((event.user_id, event.kind))
        self._count += 1
        if self._count >= _MOST_UNCHECKED and (self._removing is None or self._removing.done()):
            self._removing = asyncio.get_running_loop().create_task(self._remove())

    async def clean(self) -> int:
        """Remove what is too much by now; returns how many events that were."""
        unchecked, self._unchecked, self._count = self._unchecked, set(), 0
        return sum([await _remove_all(partial(self._events.remove_excess, *which, _BATCH)) for which in unchecked])

    async def stop(self) -> None:
        """End, between two batches at the latest."""
        if self._removing is not None:
            self._removing.cancel()
            await asyncio.gather(self._removing, return_exceptions=True)

    async def _remove(self) -> None:
        try:
            await self.clean()
        except StoreUnavailable as error:
            _log.warning("Events that are too many could not be removed: %s", error)
        except Exception:  # the next look may do better
            _log.exception("Events that are too many could not be removed.")


class Cleanup:
    """Removes expired logins, old events and old attempts for as long as the application runs.

    It counts, too, how many accounts have which parameter set.

    Args:
        store: Where they are.
        keep_events: For how long events are kept.
        event_limit: What knows which accounts may have too many.
        learn: Called with how many accounts have which parameter set, each time that they are counted.
    """

    def __init__(
        self,
        store: Store,
        keep_events: timedelta,
        event_limit: EventLimit,
        learn: Callable[[Counter[HashParameters]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._event_limit = event_limit
        self._learn = learn
        self._keep_events = int(keep_events.total_seconds())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin: a minute from now, and then every ten minutes. Of the parameter sets, look at a sample before."""
        self._learn(await count_sets(self._store.users, _COUNTED_AT_START // 10, at_most=_COUNTED_AT_START))
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def stop(self) -> None:
        """End, between two batches at the latest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._event_limit.stop()

    async def clean(self) -> int:
        """Remove all that has expired or is too much by now; returns how many rows that were."""
        now, store = int(time.time()), self._store
        removals = (
            partial(store.logins.remove_expired, now, _BATCH),
            partial(store.events.remove_before, now - self._keep_events, _BATCH),
            partial(store.attempts.remove_before, now - _KEEP_SHORT_LIVED, now - _KEEP_ATTEMPTS, _BATCH),
            partial(store.attempts.remove_of_ended_logins, _BATCH),
        )
        return sum([await _remove_all(remove) for remove in removals]) + await self._event_limit.clean()

    async def count(self) -> None:
        """Count how many accounts have which parameter set."""
        self._learn(await count_sets(self._store.users, _COUNTED_AT_ONCE, _PAUSE))

    async def _go_on(self) -> None:
        await asyncio.sleep(_FIRST)
        for number in count():
            try:
                await self.clean()
                if number % _ROUNDS_BETWEEN_COUNTS == 0:
                    await self.count()
            except StoreUnavailable as error:
                _log.warning("What has expired could not be removed: %s", error)
            except Exception:  # the next round may do better
                _log.exception("What has expired could not be removed.")
            await asyncio.sleep(_EVERY)


async def _remove_all(remove: Callable[[], Awaitable[int]]) -> int:
    """Remove one batch after another until there is nothing left; returns how many rows that were."""
    removed = 0
    while batch := await remove():
        removed += batch
        await asyncio.sleep(_PAUSE)
    return removed
