"""The account page: profile, a panel of each feature that has one, recent activity."""

from typing import Any, Final

from quart import Blueprint, render_template
from quart.typing import ResponseReturnValue

from quartlogin import login_required

from ..context import current_accounts, current_login
from ..database.errors import LoginEnded
from ..security.hardening import FETCH_HEADERS

_MAX_EVENTS: Final = 20


def add_pages(blueprint: Blueprint) -> None:
    """Add the page to the blueprint of the accounts."""
    blueprint.add_url_rule("/account", view_func=account)


@login_required
async def account() -> ResponseReturnValue:
    """Show the account."""
    return await show_account()


async def show_account(
    feature: str = "", *, is_error: bool = False, top: str | None = None, **variables: Any
) -> ResponseReturnValue:
    """Render the account page.

    Args:
        feature: The name of the feature whose form was sent, if one was.
        is_error: Whether that form was refused.
        top: The template of what the page shows first, if anything. It finds the variables in `panel`, too.
        variables: Variables of that feature's panel, instead of those that it returns.
    """
    login, accounts = await current_login(), current_accounts()
    if login is None:
        raise LoginEnded("This request is not signed in.")
    panels = [
        {"template": f"accounts/{each.name}/panel.html", **own, **(variables if each.name == feature else {})}
        for each in accounts.plan.features
        if (own := await each.panel(login)) is not None
    ]
    page = await render_template(
        "accounts/account.html",
        is_error=is_error,
        top=top,
        panel=variables,
        panels=panels,
        events=await accounts.store.events.list_of(login.user_id, _MAX_EVENTS),
    )
    return page, 400 if is_error else 200, FETCH_HEADERS
