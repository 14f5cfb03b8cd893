"""`Registration`: creating accounts, on a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quart import Blueprint

from . import pages


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Creating accounts, on a page that anyone can open."""

    name: ClassVar[str] = "registration"

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"registration": True}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)
