"""Background cleanup: removing expired and excess rows, and counting the cost of the stored hashes."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import count
from logging import getLogger
from math import inf
from typing import Final

from .audit.log import EventLimit
from .database.batches import BATCH, PAUSE, remove_all
from .database.errors import StoreUnavailable
from .feature import Feature
from .features.passwords.hash_parameters import Parameters, read_parameters
from .features.passwords.old_schemes import read_prefix
from .features.passwords.table import PasswordTable
from .store import Store

_FIRST: Final = 60  # seconds after the start, when there is more urgent work
_INTERVAL: Final = 600  # seconds between two rounds
_COUNTED_AT_ONCE: Final = 200  # users; a batch takes two milliseconds, and a million users ten minutes
_COUNTED_AT_START: Final = 10_000  # users, before the first request; their shares are right within a percent
_ROUNDS_BETWEEN_COUNTS: Final = 6  # rehashing is slow

#: Seconds after the last attempt from an address, or of a device cookie or login: no delay is longer than a day.
_KEEP_SHORT_LIVED: Final = 3 * 24 * 60 * 60
#: Seconds after the last attempt with an unknown username: as with a known one, waiting gains an attacker nothing.
_KEEP_ATTEMPTS: Final = 365 * 24 * 60 * 60

_SOME_HASH: Final = "c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"  # follows a hash's parameters, to parse them
_log = getLogger(__name__)


class Cleanup:
    """Removes old events, old attempt counters and what features have to remove, for as long as the application runs.

    It also counts how many accounts have which parameter set.

    Args:
        store: The database.
        keep_events: How long events are kept.
        event_limit: Knows which accounts may have excess events.
        features: They may have rows to remove.
        learn: Called after each count with the number of accounts for each parameter set.
        clean_directory: Completes or undoes what was interrupted; called with the time in seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        keep_events: timedelta,
        event_limit: EventLimit,
        features: Iterable[Feature] = (),
        learn: Callable[[Counter[Parameters]], None] = lambda _: None,
        clean_directory: Callable[[int], Awaitable[int]] | None = None,
    ) -> None:
        self._clean_directory = clean_directory
        self._store = store
        self._features = tuple(features)
        self._event_limit = event_limit
        self._learn = learn
        self._keep_events = int(keep_events.total_seconds())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Count a sample of the parameter sets, and start: after one minute, and then every ten minutes."""
        self._learn(await count_sets(self._store.passwords, _COUNTED_AT_START // 10, at_most=_COUNTED_AT_START))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop, between two batches at the latest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._event_limit.stop()

    async def clean(self) -> int:
        """Remove everything that is expired or in excess; return the number of rows."""
        now, store = int(time.time()), self._store
        removals = (
            partial(store.events.remove_before, now - self._keep_events, BATCH),
            partial(store.attempts.remove_before, now - _KEEP_SHORT_LIVED, now - _KEEP_ATTEMPTS, BATCH),
            partial(store.attempts.remove_of_ended_logins, BATCH),
            partial(store.pending_sign_ins.remove_expired, now, BATCH),
            *(partial(feature.remove_expired, store, now, BATCH) for feature in self._features),
        )
        settled = 0 if self._clean_directory is None else await self._clean_directory(now)
        return settled + sum([await remove_all(remove) for remove in removals]) + await self._event_limit.clean()

    async def count(self) -> None:
        """Count how many accounts have which parameter set."""
        self._learn(await count_sets(self._store.passwords, _COUNTED_AT_ONCE, PAUSE))

    async def _run(self) -> None:
        await asyncio.sleep(_FIRST)
        for number in count():
            try:
                await self.clean()
                if number % _ROUNDS_BETWEEN_COUNTS == 0:
                    await self.count()
            except StoreUnavailable as error:
                _log.warning("Could not remove expired rows: %s", error)
            except Exception:  # the next round may succeed
                _log.exception("Could not remove expired rows.")
            await asyncio.sleep(_INTERVAL)


async def count_sets(
    passwords: PasswordTable, batch: int, pause: float = 0, at_most: float = inf
) -> Counter[Parameters]:
    """Count the users of each parameter set, without hashes that are never computed.

    Args:
        passwords: The passwords of the database.
        batch: How many of them to read at a time.
        pause: Seconds between two batches, so that others can read.
        at_most: How many to count; their random ids make it a fair sample.
    """
    counts: Counter[Parameters] = Counter()
    seen, last = 0, ""
    while seen < at_most:
        beginnings, last_of_batch = await passwords.list_hash_prefixes(last, batch)
        if last_of_batch is None:
            break
        seen, last = seen + len(beginnings), last_of_batch
        for beginning, users in Counter(beginnings).items():
            parameters = read_parameters(f"{beginning}{_SOME_HASH}") or read_prefix(beginning)
            if parameters is not None and parameters.is_within_limits:
                counts[parameters] += users
        await asyncio.sleep(pause)
    return counts
