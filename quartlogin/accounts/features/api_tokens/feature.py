"""`ApiTokens`: API tokens that users create and revoke."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from quart import Blueprint

from ...context import current_accounts
from ...database.models import AccountLogin
from ...feature import Feature
from ...pages.forms import FormPage
from . import pages
from .forms import FORM_PAGES, TokenForm

if TYPE_CHECKING:
    import click


@dataclass(frozen=True, kw_only=True)
class ApiTokens(Feature):
    """API tokens, with which programs act as their user."""

    name: ClassVar[str] = "api_tokens"
    forms: ClassVar[tuple[FormPage, ...]] = FORM_PAGES

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        return {"api_tokens": True}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        pages.add_pages(blueprint)

    async def panel(self, login: AccountLogin) -> Mapping[str, Any]:
        """List the tokens, with the form for a new one."""
        logins = await current_accounts().logins.list_of(login.user_id)
        return {"tokens": [row for row in logins if row.kind == "bearer"], "form": TokenForm()}

    def commands(self) -> "Sequence[click.Command]":
        """Return the group `token`."""
        from .commands import token  # noqa: PLC0415 -- an app that is served needs no command

        return (token,)
