"""What is done beside the requests, in small batches: removing what has expired, counting what hashes cost."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from logging import getLogger
from typing import Final

from .hash_parameters import HashParameters
from .parameters_in_use import count_sets
from .store import Store, StoreUnavailable

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

_log = getLogger(__name__)


class Housekeeping:
    """Removes expired logins, old events and old attempts for as long as the application runs.

    It counts, too, how many accounts have which parameter set.

    Args:
        store: Where they are.
        keep_events: For how long events are kept.
        learn: Called with how many accounts have which parameter set, each time that they are counted.
    """

    def __init__(
        self, store: Store, keep_events: timedelta, learn: Callable[[Counter[HashParameters]], None] = lambda _: None
    ) -> None:
        self._store = store
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

    async def clean(self) -> int:
        """Remove all that has expired by now; returns how many rows that were."""
        now, removed, store = int(time.time()), 0, self._store
        for remove in (
            partial(store.logins.remove_expired, now, _BATCH),
            partial(store.events.remove_before, now - self._keep_events, _BATCH),
            partial(store.attempts.remove_before, now - _KEEP_SHORT_LIVED, now - _KEEP_ATTEMPTS, _BATCH),
        ):
            while count := await remove():
                removed += count
                await asyncio.sleep(_PAUSE)
        return removed

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
