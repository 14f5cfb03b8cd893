"""The pages that end logins: sign out, revoke one login, revoke all others."""

from typing import Final

from quart import Blueprint, abort, flash, redirect, render_template, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user, logout_user

from ...context import current_accounts, current_login
from ...pages.recent_login import recent_login_required
from ...pages.redirects import page_after_logout
from ...security.hardening import CLEAR_SITE_DATA
from .forms import LogoutForm, RevocationForm

_UNKNOWN: Final = "There is no such sign-in, or it has already ended. Nothing was changed."


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the blueprint of the accounts."""
    blueprint.add_url_rule("/logout", view_func=logout, methods=["GET", "POST"])
    blueprint.add_url_rule("/account/logins/<public_id>/revoke", view_func=revoke_login, methods=["POST"])
    blueprint.add_url_rule("/account/logins/revoke-others", view_func=revoke_other_logins, methods=["POST"])


async def logout() -> ResponseReturnValue:
    """Ask, and sign out when the form is submitted: a link on another site must not do it."""
    if not (await current_user).is_authenticated:
        return redirect(page_after_logout())
    form = await LogoutForm.read()
    if form.is_complete():
        return await _sign_out()
    return await render_template("accounts/logins/logout.html")


@recent_login_required
async def revoke_login(public_id: str) -> ResponseReturnValue:
    """End one of the user's logins."""
    await RevocationForm.read()
    login = await current_login()
    if login is not None and public_id == login.public_id:
        return await _sign_out()
    if await current_accounts().logins.revoke(current_user.id, public_id) is None:
        current_accounts().audit_log.warn("object_access_denied", current_user.id)
        abort(404, _UNKNOWN)
    await flash("The sign-in has been ended.")
    return redirect(url_for("accounts.account"))


@recent_login_required
async def revoke_other_logins() -> ResponseReturnValue:
    """End all of the user's logins except this one."""
    await RevocationForm.read()
    count = await current_accounts().logins.revoke_others(current_user.id)
    await flash("1 other sign-in has been ended." if count == 1 else f"{count or 'No'} other sign-ins have been ended.")
    return redirect(url_for("accounts.account"))


async def _sign_out() -> ResponseReturnValue:
    await logout_user()
    await flash("You are signed out.")
    return redirect(page_after_logout()), CLEAR_SITE_DATA
