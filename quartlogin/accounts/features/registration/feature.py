"""`Registration`: creating accounts, on a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quart import Blueprint
from wtforms import Form

from ...audit.kinds import EventKind
from ...feature import Feature
from ...pages.forms import FormPage
from . import pages
from .events import EVENTS
from .forms import form_page_with, registration_form


@dataclass(frozen=True, kw_only=True)
class Registration(Feature):
    """Creating accounts, on a page that anyone can open.

    Raises:
        ConfigurationError: The form is none, or has a field with a name of ours.
    """

    name: ClassVar[str] = "registration"
    events: ClassVar[Mapping[str, EventKind]] = EVENTS

    #: A WTForms class with fields of the app's own, and no others: they stand between the name and the password, and
    #: `Users.create` gets their values.
    form: type[Form] | None = None

    def __post_init__(self) -> None:
        registration_form(self.form)

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"registration": True, "registration_form": self.form}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)

    def form_pages(self) -> tuple[FormPage, ...]:
        """Return the fields that its forms must have."""
        return (form_page_with(self.form),)
