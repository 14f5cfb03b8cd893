"""The page that deletes an account."""

from contextlib import suppress

from quart import Blueprint, abort, flash, redirect
from quart.typing import ResponseReturnValue

from quartlogin import current_user, logout_user

from ...context import current_accounts
from ...database.errors import StoreUnavailable
from ...pages.forms import render_form
from ...pages.messages import WRONG_PASSWORD
from ...pages.recent_login import recent_login_required
from ...pages.redirects import page_after_logout
from ...security.hardening import CLEAR_SITE_DATA
from ...users.protocol import DeleteRefused
from .forms import DeletionForm


def add_pages(blueprint: Blueprint) -> None:
    """Add the page to the blueprint of the accounts."""
    blueprint.add_url_rule("/account/delete", view_func=delete, methods=["GET", "POST"])


@recent_login_required
async def delete() -> ResponseReturnValue:
    """Ask for the password, and delete the account with everything that belongs to it."""
    accounts, form = current_accounts(), await DeletionForm.read()
    if not accounts.directory.can_delete:
        abort(404)
    if form.is_complete():
        try:
            is_deleted = await accounts.deletion.delete(await current_user, form.password.data or "")
        except DeleteRefused as error:
            form.refuse("password", error.text)
            return await render_form("accounts/deletion/delete.html", form)
        if is_deleted:
            with suppress(StoreUnavailable):  # this login's record is deleted already
                await logout_user()
            accounts.device_cookies.delete()
            await flash("Your account has been deleted.")
            return redirect(page_after_logout()), CLEAR_SITE_DATA
        form.refuse("password", WRONG_PASSWORD)
    return await render_form("accounts/deletion/delete.html", form)
