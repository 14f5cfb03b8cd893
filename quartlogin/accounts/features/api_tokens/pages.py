"""The signed-in user's API tokens."""

from datetime import timedelta
from typing import Final

from quart import Blueprint, abort, flash, redirect, url_for
from quart.typing import ResponseReturnValue

from quartlogin import create_bearer_token, current_user

from ...accounts import services
from ...pages.forms import RevocationForm, TokenForm
from ...pages.recent_login import recent_login_required
from ..logins.pages import show_account
from ..logins.service import MOST_TOKENS, TooManyTokens

blueprint = Blueprint("tokens", __name__)

_GONE: Final = "That token is revoked already, or there is none of that name. Nothing was changed."


@blueprint.post("/account/tokens")
@recent_login_required
async def create() -> ResponseReturnValue:
    """Make a token, and show it this once."""
    form, user = await TokenForm.read(), await current_user
    if not form.is_complete():
        return await show_account(form)
    duration = timedelta(days=form.days.data or 0)
    try:
        token = await create_bearer_token(user, duration=duration, name=form.name.data)
    except TooManyTokens:
        form.refuse("name", f"You have {MOST_TOKENS} tokens: revoke one that you no longer use.")
        return await show_account(form)
    return await show_account(TokenForm(), new_token=token, new_token_name=form.name.data)


@blueprint.post("/account/tokens/<public_id>/revoke")
@recent_login_required
async def revoke(public_id: str) -> ResponseReturnValue:
    """Revoke a token of the user's."""
    await RevocationForm.read()
    if await services().logins.revoke(current_user.id, public_id, "bearer") is None:
        services().accounts.audit_log.warn("object_access_denied", current_user.id)
        abort(404, _GONE)
    await flash("That token is revoked.")
    return redirect(url_for("account.account"))
