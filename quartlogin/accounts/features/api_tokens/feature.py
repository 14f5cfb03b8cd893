"""`ApiTokens`: API tokens that users create and revoke."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quart import Blueprint

from ...pages.forms import FormPage
from . import pages
from .forms import FORM_PAGES


@dataclass(frozen=True, kw_only=True)
class ApiTokens:
    """API tokens, with which programs act as their user."""

    name: ClassVar[str] = "api_tokens"

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"api_tokens": True}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)

    def form_pages(self) -> tuple[FormPage, ...]:
        """Return the fields that its forms must have."""
        return FORM_PAGES
