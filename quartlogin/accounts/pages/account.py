"""The account page: profile, logins, API tokens, recent activity."""

from typing import Any, Final

from quart import Blueprint, render_template
from quart.typing import ResponseReturnValue

from quartlogin import login_required

from ..context import current_accounts, current_login
from ..database.errors import LoginEnded
from ..features.api_tokens.forms import TokenForm
from ..security.headers import FETCH_HEADERS

_MAX_EVENTS: Final = 20


def add_pages(blueprint: Blueprint) -> None:
    """Add the page to the blueprint of the accounts."""
    blueprint.add_url_rule("/account", view_func=account)


@login_required
async def account() -> ResponseReturnValue:
    """Show the account."""
    return await show_account(await TokenForm.read())


async def show_account(token_form: TokenForm, **context: Any) -> ResponseReturnValue:
    """Render the account page.

    Args:
        token_form: The form for a new API token.
        context: Further variables of the template.
    """
    login, accounts = await current_login(), current_accounts()
    if login is None:
        raise LoginEnded("This request is not signed in.")
    logins = await accounts.logins.list_of(login.user_id)
    sign_ins = [login for login in logins if login.kind == "session"]
    page = await render_template(
        "accounts/account.html",
        form=token_form,
        this_login=login.public_id,
        sign_ins=sorted(sign_ins, key=lambda row: row.public_id != login.public_id),  # this one first
        tokens=[login for login in logins if login.kind == "bearer"],
        events=await accounts.store.events.list_of(login.user_id, _MAX_EVENTS),
        **context,
    )
    return page, 400 if token_form.errors else 200, FETCH_HEADERS
