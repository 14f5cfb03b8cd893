"""The signed-in user's own account: who I am, where I am signed in, what happened lately."""

from contextlib import suppress
from typing import Any, Final

from quart import Blueprint, abort, flash, redirect, render_template, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user, login_required, logout_user

from ...accounts import services
from ...database.errors import StoreUnavailable
from ...pages.forms import DeletionForm, RevocationForm, TokenForm
from ...pages.recent_login import recent_login_required
from ...security.headers import CLEAR_SITE_DATA, CONTENT_SECURITY_POLICY_WITH_SCRIPT
from ..passwords.pages import WRONG_PASSWORD

blueprint = Blueprint("account", __name__)

_MOST_EVENTS: Final = 20
_GONE: Final = "That sign-in has ended already, or there is none of that name. Nothing was changed."


@blueprint.get("/account")
@login_required
async def account() -> ResponseReturnValue:
    """Show the account."""
    return await show_account(await TokenForm.read())


async def show_account(token_form: TokenForm, **more: Any) -> ResponseReturnValue:
    """Render the account page.

    Args:
        token_form: The form for a new API token.
        more: What else the template is told.
    """
    user = await current_user
    logins = await services().logins.list_of(user.id)
    sign_ins = [login for login in logins if login.kind == "session"]
    page = await render_template(
        "account.html",
        form=token_form,
        sign_ins=sorted(sign_ins, key=lambda login: login.public_id != user.login_public_id),  # this one first
        tokens=[login for login in logins if login.kind == "bearer"],
        events=await services().store.events.list_of(user.id, _MOST_EVENTS),
        **more,
    )
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY_WITH_SCRIPT}
    return page, 400 if token_form.errors else 200, headers


@blueprint.post("/account/logins/<public_id>/revoke")
@recent_login_required
async def revoke(public_id: str) -> ResponseReturnValue:
    """End one of the user's sign-ins."""
    await RevocationForm.read()
    if public_id == current_user.login_public_id:
        await logout_user()
        await flash("You are signed out.")
        return redirect(url_for("sign_in.home")), CLEAR_SITE_DATA
    if await services().logins.revoke(current_user.id, public_id) is None:
        services().accounts.audit_log.warn("object_access_denied", current_user.id)
        abort(404, _GONE)
    await flash("That sign-in has ended.")
    return redirect(url_for("account.account"))


@blueprint.post("/account/logins/revoke-others")
@recent_login_required
async def revoke_others() -> ResponseReturnValue:
    """End all of the user's sign-ins but this one."""
    await RevocationForm.read()
    count = await services().logins.revoke_others(current_user.id)
    await flash("One other sign-in has ended." if count == 1 else f"{count or 'No'} other sign-ins have ended.")
    return redirect(url_for("account.account"))


@blueprint.route("/account/delete", methods=["GET", "POST"])
@recent_login_required
async def delete() -> ResponseReturnValue:
    """Ask for the password, and delete the account with all that belongs to it."""
    form = await DeletionForm.read()
    if form.is_complete():
        if await services().accounts.delete(await current_user, form.password.data or ""):
            with suppress(StoreUnavailable):  # the record of this sign-in is deleted already
                await logout_user()
            services().accounts.device_cookies.delete()
            await flash("Your account is deleted.")
            return redirect(url_for("sign_in.home")), CLEAR_SITE_DATA
        form.refuse("password", WRONG_PASSWORD)
    return await render_template("delete.html", form=form), 400 if form.errors else 200
