"""What a browser and its system are called in words that people know."""

import asyncio
from functools import lru_cache
from typing import Final

from ua_parser import parse_os, parse_user_agent

#: Kept in a browser's place for what the operator does; no browser can have itself kept under this name.
COMMAND_LINE: Final = "command line"

_UNKNOWN: Final = "Unknown browser"
_REMEMBERED: Final = 5000  # different browsers, of several accounts with the most sign-ins
#: The parser tries hundreds of expressions, some in quadratic time. Browsers need 160 characters at the most.
_LONGEST_LOOKED_UP: Final = 192


def describe(browser: str) -> str:
    """Return words such as "Firefox 128 on Linux" for what a browser calls itself in `User-Agent`."""
    if browser == COMMAND_LINE:
        return "Command line"
    return _look_up(browser[:_LONGEST_LOOKED_UP])


async def describe_among_many(browser: str) -> str:
    """Return the same for a page with many rows: after each that had to be looked up, others have their turn."""
    looked_up = _look_up.cache_info().misses
    words = describe(browser)
    if _look_up.cache_info().misses != looked_up:
        await asyncio.sleep(0)
    return words


def get_ready() -> None:
    """Read the rules now, which takes a tenth of a second, rather than for the first visitor."""
    _look_up("")


@lru_cache(_REMEMBERED)
def _look_up(browser: str) -> str:
    """Ask the parser for the browser and its system; for the device, which nobody is shown, it takes longest."""
    found, system = parse_user_agent(browser), parse_os(browser)
    name = _UNKNOWN if found is None else " ".join(part for part in (found.family, found.major) if part)
    return name if system is None else f"{name} on {system.family}"
