"""`Deletion`: deleting one's account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quart import Blueprint

from ...pages.forms import FormPage
from . import pages
from .forms import FORM_PAGES


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """Deleting one's account."""

    name: ClassVar[str] = "deletion"

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"deletion": True}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)

    def form_pages(self) -> tuple[FormPage, ...]:
        """Return the fields that its forms must have."""
        return FORM_PAGES
