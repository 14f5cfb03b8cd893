"""How moments and events are put in words on pages."""

from datetime import UTC, datetime

from markupsafe import Markup

from .journal import KINDS


def moment(seconds: int) -> Markup:
    """Return a `time` element for a moment in seconds since 1970; pages with script show it in local time."""
    at = datetime.fromtimestamp(seconds, UTC)
    shown = f"{at.day} {at:%B %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat().replace("+00:00", "Z"), shown)


def event(kind: str) -> str:
    """Return what an event is called; its own name if it was written by a newer release."""
    return KINDS.get(kind, kind)
