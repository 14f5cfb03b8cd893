"""The event of registration."""

from collections.abc import Mapping
from typing import Final

from ...audit.kinds import EventKind

EVENTS: Final[Mapping[str, EventKind]] = {"registered": EventKind("Account created")}
