"""Remove rows in batches, with pauses in which others can write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

BATCH: Final = 100  # rows; no one notices a transaction of this size
PAUSE: Final = 0.1  # seconds between two batches, so that others can write


async def remove_all(remove: Callable[[], Awaitable[int]]) -> int:
    """Remove one batch after another until nothing is left; return the number of rows."""
    removed = 0
    while batch := await remove():
        removed += batch
        await asyncio.sleep(PAUSE)
    return removed
