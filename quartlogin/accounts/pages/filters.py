"""Template filters: times and durations in words."""

from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

_UNITS: Final = (("hour", 3600), ("minute", 60), ("second", 1))


def moment(seconds: int) -> Markup:
    """Return a `time` element for a time in seconds since 1970; a page with script shows it in local time."""
    at = datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}</time>').format(at, time_as_text(seconds))


def time_as_text(seconds: int) -> str:
    """Return a time in seconds since 1970 as text, in UTC."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def duration(seconds: int) -> str:
    """Return a duration in whole units, rounded up."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    count = -(-seconds // length)
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
