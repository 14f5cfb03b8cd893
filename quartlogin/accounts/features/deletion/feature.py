"""`Deletion`: deleting one's account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quart import Blueprint

from ...audit.kinds import EventKind
from ...feature import Feature
from ...pages.forms import FormPage
from . import pages
from .events import EVENTS
from .forms import FORM_PAGES


@dataclass(frozen=True, kw_only=True)
class Deletion(Feature):
    """Deleting one's account."""

    name: ClassVar[str] = "deletion"
    events: ClassVar[Mapping[str, EventKind]] = EVENTS
    forms: ClassVar[tuple[FormPage, ...]] = FORM_PAGES

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"deletion": True}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)
