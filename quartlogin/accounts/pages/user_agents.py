"""User agents in words: the browser and the operating system."""

import asyncio
from functools import lru_cache
from typing import Final

from ua_parser import parse_os, parse_user_agent

#: Stands for a user agent in events of the command line; no browser can claim it.
COMMAND_LINE: Final = "command line"

_UNKNOWN: Final = "Unknown browser"
_CACHE_SIZE: Final = 5000  # user agents, those of several accounts with the most sign-ins
#: Characters. The parser tries hundreds of expressions, some in quadratic time; browsers need 160 at most.
_MAX_PARSED: Final = 192


def describe(browser: str) -> str:
    """Return words such as "Firefox 128 on Linux" for a `User-Agent` header."""
    if browser == COMMAND_LINE:
        return "Command line"
    return _look_up(browser[:_MAX_PARSED])


async def describe_among_many(browser: str) -> str:
    """Describe a user agent on a page with many rows: yield to other requests after each parse."""
    looked_up = _look_up.cache_info().misses
    words = describe(browser)
    if _look_up.cache_info().misses != looked_up:
        await asyncio.sleep(0)
    return words


def load_rules() -> None:
    """Load the parser's rules now, which takes a tenth of a second, rather than for the first visitor."""
    _look_up("")


@lru_cache(_CACHE_SIZE)
def _look_up(browser: str) -> str:
    """Parse the browser and the operating system; the device, which takes longest, is not shown."""
    found, system = parse_user_agent(browser), parse_os(browser)
    name = _UNKNOWN if found is None else " ".join(part for part in (found.family, found.major) if part)
    return name if system is None else f"{name} on {system.family}"
