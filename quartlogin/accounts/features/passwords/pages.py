"""The pages that ask for a password: sign in, confirm the user's identity, change the password."""

from typing import Final

from quart import Blueprint, flash, redirect, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import confirm_login, current_user, login_required, uses_cookies

from ...context import current_accounts, current_login
from ...pages.forms import render_form
from ...pages.messages import BREACHED_PASSWORD, WRONG_PASSWORD, in_a_sentence
from ...pages.recent_login import recent_login_required
from ...pages.redirects import next_page, redirect_after_sign_in, redirect_to_step
from ...security.proofs import PASSWORD, proving
from ...sign_in.steps import StepRequired
from .forms import LoginForm, PasswordForm, ReauthenticationForm
from .service import BreachedPassword, SamePassword

#: One sentence for every failed sign-in, whatever the reason (OWASP Authentication Cheat Sheet).
FAILED: Final = "The {} or password is not correct."
_SAME: Final = "This is your current password. Choose a different one."


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the blueprint of the accounts."""
    blueprint.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    blueprint.add_url_rule("/reauthenticate", view_func=reauthenticate, methods=["GET", "POST"])
    blueprint.add_url_rule("/account/password", view_func=change_password, methods=["GET", "POST"])


async def login() -> ResponseReturnValue:
    """Show the login page; when it is submitted, check the credentials and sign the user in."""
    form = await LoginForm.read(next=request.args.get("next"))
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(next_page(form.next.data))
    if form.is_complete():
        try:
            signed_in = await current_accounts().passwords.sign_in(
                form.username.data or "", form.password.data or "", remember=bool(form.remember.data)
            )
        except StepRequired as required:
            return redirect_to_step(required, form.next.data)
        if signed_in is not None:
            return await redirect_after_sign_in(signed_in, form.next.data)
        form.refuse("password", FAILED.format(in_a_sentence(current_accounts().directory.name_label)))
    return await render_form("accounts/passwords/login.html", form)


@login_required
async def reauthenticate() -> ResponseReturnValue:
    """Ask for the password again before a sensitive action. An API token cannot become fresh, so it may not try."""
    if not uses_cookies():
        return await current_accounts().login_manager.needs_refresh()
    form = await ReauthenticationForm.read(next=request.args.get("next"))
    if form.is_complete():
        passwords, user = current_accounts().passwords, await current_user
        if await passwords.verify_current_password(user, form.password.data or "", "reauthentication_failed"):
            with proving(PASSWORD):
                await confirm_login()
            return redirect(next_page(form.next.data, "accounts.account"))
        form.refuse("password", WRONG_PASSWORD)
    return await render_form("accounts/passwords/reauthenticate.html", form)


@recent_login_required
async def change_password() -> ResponseReturnValue:
    """Change the password; every other login ends."""
    accounts, user = current_accounts(), await current_user
    form = await PasswordForm.read(
        password_min_length=accounts.options.password_min_length,
        password_denylist=accounts.options.context_words,
        username=accounts.directory.name_of(user),
    )
    if form.is_complete():
        try:
            is_changed = await accounts.passwords.change_password(
                user, form.current_password.data or "", form.new_password.data or ""
            )
        except BreachedPassword:
            form.refuse("new_password", BREACHED_PASSWORD)
        except SamePassword:
            form.refuse("new_password", _SAME)
        else:
            if is_changed:
                await flash("Your password has been changed, and you have been signed out everywhere else.")
                return redirect(url_for("accounts.account"))
            form.refuse("current_password", WRONG_PASSWORD)
    login = await current_login()
    return await render_form(
        "accounts/passwords/password.html", form, is_required=login is not None and login.must_change_password
    )


async def well_known_change_password() -> ResponseReturnValue:
    """Redirect password managers to the change page (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(url_for("accounts.change_password"))
