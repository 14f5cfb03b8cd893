"""The last-seen times of logins: written at most once a minute, after the response, without delaying it."""

import asyncio
from logging import getLogger
from typing import Final

from ...database.errors import Conflict, StoreUnavailable
from ...database.models import Moment, Seen
from ...store import Store

#: Seconds by which a last-seen time may lag behind.
RESOLUTION: Final = 60

_log = getLogger(__name__)


def is_due(seen_at: int, now: int) -> bool:
    """Tell whether a last-seen time is outdated for a login that is seen now; both in seconds since 1970."""
    return now - seen_at >= RESOLUTION


class LastSeen:
    """Collects the logins that were seen, and writes them in the background, all that are waiting at once.

    Args:
        store: The database.
        idle: Seconds after which an unused sign-in is no longer active.
    """

    def __init__(self, store: Store, idle: int) -> None:
        self._store = store
        self._idle = idle
        self._waiting: dict[str, Seen] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, id_hash: str, user_id: str, seen_at: int, now: int) -> None:
        """Schedule a login's last-seen time to be written, unless it was written less than a minute ago.

        Args:
            id_hash: The hash of the login's id.
            user_id: The login's user.
            seen_at: The last-seen time as stored: seconds since 1970.
            now: Seconds since 1970.
        """
        if not is_due(seen_at, now) or id_hash in self._waiting:
            return
        self._waiting[id_hash] = Seen(id_hash, user_id, now)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def flush(self) -> None:
        """Wait until all times are written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._waiting:
            batch = dict(self._waiting)  # they stay in the queue until written, so that no one adds them again
            try:
                await self._store.logins.touch(batch.values(), RESOLUTION, Moment.present(self._idle))
            except (StoreUnavailable, Conflict) as error:
                _log.warning("Could not update last-seen times: %s", error)
            except Exception:  # the others in the queue are written all the same
                _log.exception("Could not update last-seen times.")
            for id_hash in batch:
                del self._waiting[id_hash]
