"""What a browser and its system are called in words that people know."""

from functools import lru_cache
from typing import Final

from ua_parser import parse

#: Kept in a browser's place for what the operator does; no browser can have itself kept under this name.
COMMAND_LINE: Final = "command line"

_UNKNOWN: Final = "Unknown browser"
_REMEMBERED: Final = 5000  # different browsers, of several accounts with the most sign-ins; a look takes a millisecond


@lru_cache(_REMEMBERED)
def in_words(browser: str) -> str:
    """Return words such as "Firefox 128 on Linux" for what a browser calls itself in `User-Agent`."""
    if browser == COMMAND_LINE:
        return "Command line"
    found = parse(browser)
    if found.user_agent is None:
        return _UNKNOWN if found.os is None else f"{_UNKNOWN} on {found.os.family}"
    name = " ".join(part for part in (found.user_agent.family, found.user_agent.major) if part)
    return name if found.os is None else f"{name} on {found.os.family}"


def get_ready() -> None:
    """Read the rules now, which takes a tenth of a second, rather than for the first visitor."""
    parse("")
