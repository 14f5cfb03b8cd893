"""Changing the password."""

from typing import Final

from quart import Blueprint, flash, redirect, render_template, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user

from ...accounts import services
from ...pages.forms import PasswordForm
from ...pages.recent_login import recent_login_required
from .pages import BREACHED, WRONG_PASSWORD
from .service import BreachedPassword, SamePassword

blueprint = Blueprint("password", __name__)

_SAME: Final = "This is the password that has to be changed: choose another one."


@blueprint.route("/account/password", methods=["GET", "POST"])
@recent_login_required
async def change() -> ResponseReturnValue:
    """Change the password; every other sign-in ends."""
    settings, user = services().settings, await current_user
    form = await PasswordForm.read(
        password_min_length=settings.password_min_length,
        password_denylist=settings.context_words,
        username=user.username,
    )
    if form.is_complete():
        try:
            is_changed = await services().accounts.change_password(
                user, form.current_password.data or "", form.new_password.data or ""
            )
        except BreachedPassword:
            form.refuse("new_password", BREACHED)
        except SamePassword:
            form.refuse("new_password", _SAME)
        else:
            if is_changed:
                await flash("Your password is changed, and all your other sign-ins have ended.")
                return redirect(url_for("account.account"))
            form.refuse("current_password", WRONG_PASSWORD)
    return await render_template("password.html", form=form), 400 if form.errors else 200
