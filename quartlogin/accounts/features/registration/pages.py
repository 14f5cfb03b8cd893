"""The registration page."""

from typing import Final

from quart import Blueprint, flash, redirect, request
from quart.typing import ResponseReturnValue

from quartlogin import current_user, login_user

from ...context import current_accounts
from ...database.errors import NameTaken
from ...pages.forms import render_form
from ...pages.messages import BREACHED_PASSWORD, in_a_sentence
from ...pages.redirects import page_after_login, page_after_registration
from ...users.protocol import FieldError
from ..passwords.service import BreachedPassword
from .forms import registration_form

_READY: Final = "Your account is ready."
_NOT_ACTIVE_YET: Final = "Your account has been created. You can sign in as soon as it is activated."


def add_pages(blueprint: Blueprint) -> None:
    """Add the page to the blueprint of the accounts."""
    blueprint.add_url_rule("/register", view_func=register, methods=["GET", "POST"])


async def register() -> ResponseReturnValue:
    """Create an account and sign in to it."""
    accounts = current_accounts()
    label = in_a_sentence(accounts.directory.name_label)
    form = await registration_form(accounts.options.registration_form).read(
        password_min_length=accounts.options.password_min_length, password_denylist=accounts.options.context_words
    )
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(page_after_login())
    if form.is_complete():
        try:
            fields = {field.name: field.data for field in form.own_fields()}
            user = await accounts.registration.register(
                form.username.data or "", form.password.data or "", fields, login_user
            )
        except NameTaken:
            form.refuse("username", f"This {label} is taken. Choose a different one.")
        except FieldError as error:
            form.refuse(error.field if error.field in form else "username", error.text)
        except BreachedPassword:
            form.refuse("password", BREACHED_PASSWORD)
        else:
            await flash(_READY if user.is_active else _NOT_ACTIVE_YET)
            return redirect(page_after_registration())
    return await render_form("accounts/registration/register.html", form)
