"""The pages that create and revoke API tokens."""

from datetime import timedelta
from typing import Final

from quart import Blueprint, abort, flash, redirect, url_for
from quart.typing import ResponseReturnValue

from quartlogin import create_bearer_token, current_user

from ...context import current_accounts
from ...pages.account import show_account
from ...pages.recent_login import recent_login_required
from ..logins.service import MAX_TOKENS, TooManyTokens
from .forms import TokenForm, TokenRevocationForm

_UNKNOWN: Final = "There is no such token, or it has already been revoked. Nothing was changed."
#: The name of the feature, and so of its panel.
_PANEL: Final = "api_tokens"


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the blueprint of the accounts."""
    blueprint.add_url_rule("/account/tokens", view_func=create_token, methods=["POST"])
    blueprint.add_url_rule("/account/tokens/<public_id>/revoke", view_func=revoke_token, methods=["POST"])


@recent_login_required
async def create_token() -> ResponseReturnValue:
    """Create a token and show it once."""
    form, user = await TokenForm.read(), await current_user
    if not form.is_complete():
        return await _show_refused(form)
    duration = timedelta(days=form.days.data or 0)
    try:
        token = await create_bearer_token(user, duration=duration, name=form.name.data)
    except TooManyTokens:
        form.refuse("name", f"You have {MAX_TOKENS} tokens. Revoke one that you no longer use.")
        return await _show_refused(form)
    top = "accounts/api_tokens/new_token.html"
    return await show_account(_PANEL, top=top, form=TokenForm(), new_token=token, new_token_name=form.name.data)


@recent_login_required
async def revoke_token(public_id: str) -> ResponseReturnValue:
    """Revoke one of the user's tokens."""
    await TokenRevocationForm.read()
    if await current_accounts().logins.revoke(current_user.id, public_id, "bearer") is None:
        current_accounts().audit_log.warn("object_access_denied", current_user.id)
        abort(404, _UNKNOWN)
    await flash("The token has been revoked.")
    return redirect(url_for("accounts.account"))


async def _show_refused(form: TokenForm) -> ResponseReturnValue:
    return await show_account(_PANEL, is_error=True, form=form)
