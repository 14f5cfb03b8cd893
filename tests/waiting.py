"""Waiting for what a test depends on, instead of for a time that is long enough on one machine."""

import asyncio
from collections.abc import Callable

from servers import PATIENCE


async def eventually(is_so: Callable[[], object]) -> None:
    """Wait until something is true; a test in which it never becomes true fails."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.001)
