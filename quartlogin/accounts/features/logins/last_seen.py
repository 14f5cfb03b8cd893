"""When each login was seen last: written at most once a minute, after the answer, and never in its way."""

import asyncio
from logging import getLogger
from typing import Final

from ...database.errors import Conflict, StoreUnavailable
from ...database.models import Moment, Seen
from ...store import Store

#: How far behind the time of the last visit may be: seconds.
RESOLUTION: Final = 60

_log = getLogger(__name__)


def is_due(seen_at: int, now: int) -> bool:
    """Tell whether what was written last is too old for a login that is seen now; both in seconds since 1970."""
    return now - seen_at >= RESOLUTION


class LastSeen:
    """Collects the logins that were seen, and writes them beside the requests, as many at once as there are.

    Args:
        store: Where that is kept.
        idle: How many seconds a sign-in counts that nobody uses.
    """

    def __init__(self, store: Store, idle: int) -> None:
        self._store = store
        self._idle = idle
        self._waiting: dict[str, Seen] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, id_hash: str, user_id: str, seen_at: int, now: int) -> None:
        """Have it written that a login is seen now, unless that was written less than a minute ago.

        Args:
            id_hash: The hash of the login's id.
            user_id: Whose it is.
            seen_at: What was written last: seconds since 1970.
            now: Seconds since 1970.
        """
        if not is_due(seen_at, now) or id_hash in self._waiting:
            return
        self._waiting[id_hash] = Seen(id_hash, user_id, now)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def flush(self) -> None:
        """Wait until everything is written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._waiting:
            batch = dict(self._waiting)  # they wait until they are written: meanwhile nobody need note them again
            try:
                await self._store.logins.touch(batch.values(), RESOLUTION, Moment.present(self._idle))
            except (StoreUnavailable, Conflict) as error:
                _log.warning("When logins were seen last could not be written: %s", error)
            except Exception:  # the others that wait are written all the same
                _log.exception("When logins were seen last could not be written.")
            for id_hash in batch:
                del self._waiting[id_hash]
