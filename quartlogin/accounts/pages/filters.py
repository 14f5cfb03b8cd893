"""How moments and events are put in words on pages."""

from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from ..audit.log import KINDS

_UNITS: Final = (("hour", 3600), ("minute", 60), ("second", 1))


def moment(seconds: int) -> Markup:
    """Return a `time` element for a moment in seconds since 1970; pages with script show it in local time."""
    at = datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}</time>').format(at, moment_in_text(seconds))


def moment_in_text(seconds: int) -> str:
    """Return a moment in seconds since 1970 for text without elements."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def duration(seconds: int) -> str:
    """Return a time to wait in whole units, rounded up."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    count = -(-seconds // length)
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def event(kind: str) -> str:
    """Return what an event is called; its own name if it was written by a newer release."""
    return KINDS.get(kind, kind)
