"""The way in and out: home, sign in, sign out, register, type the password again."""

from quart import Blueprint, abort, flash, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import confirm_login, current_user, login_required, login_user, logout_user, uses_cookies

from ...accounts import services
from ...database.errors import UsernameTaken
from ...pages.forms import LoginForm, LogoutForm, ReauthenticationForm, RegistrationForm
from ...pages.redirects import next_page
from ...security.headers import CLEAR_SITE_DATA
from ..logins import notices
from .change_required import must_change
from .service import BreachedPassword

blueprint = Blueprint("sign_in", __name__)

#: One sentence for every failed sign-in, whatever the reason (OWASP Authentication Cheat Sheet).
FAILED = "The username or the password is not right."
WRONG_PASSWORD = "The password is not right."  # noqa: S105 -- a sentence
BREACHED = "This password is known from a breach, so it is guessed first: choose another one."


@blueprint.get("/")
async def home() -> ResponseReturnValue:
    """Greet whoever is there."""
    page = await render_template("home.html")
    return redirect(url_for("password.change")) if await must_change() else page


@blueprint.route("/login", methods=["GET", "POST"])
async def login() -> ResponseReturnValue:
    """Show the login page; when it is submitted, check the credentials and sign the user in."""
    form = await LoginForm.read(next=request.args.get("next"))
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(next_page(form.next.data, "sign_in.home"))
    if form.is_complete():
        user = await services().accounts.authenticate(form.username.data or "", form.password.data or "")
        if user is not None:
            meanwhile = await notices.since_last_sign_in(user)
            if await login_user(user, remember=form.remember.data):
                services().accounts.set_device_cookie(user)
                await notices.tell(user, meanwhile)
                return redirect(next_page(form.next.data, "sign_in.home"))
        form.refuse("password", FAILED)
    return await render_template("login.html", form=form), 400 if form.errors else 200


@blueprint.route("/logout", methods=["GET", "POST"])
async def logout() -> ResponseReturnValue:
    """Ask, and sign out when the form is submitted: a link on another site must not do it."""
    if not (await current_user).is_authenticated:
        return redirect(url_for("sign_in.home"))
    form = await LogoutForm.read()
    if form.is_complete():
        await logout_user()
        await flash("You are signed out.")
        return redirect(url_for("sign_in.home")), CLEAR_SITE_DATA
    return await render_template("logout.html")


@blueprint.route("/register", methods=["GET", "POST"])
async def register() -> ResponseReturnValue:
    """Make an account and sign in with it."""
    settings, accounts = services().settings, services().accounts
    if not settings.registration:
        abort(404)
    form = await RegistrationForm.read(
        password_min_length=settings.password_min_length, password_denylist=settings.context_words
    )
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(url_for("sign_in.home"))
    if form.is_complete():
        try:
            new = await accounts.validate_registration(form.username.data or "", form.password.data or "")
            await accounts.register(new, login_user)
            accounts.set_device_cookie(new.user)
        except UsernameTaken:
            form.refuse("username", "This name is taken: choose another one.")
        except BreachedPassword:
            form.refuse("password", BREACHED)
        else:
            await flash("Your account is ready.")
            return redirect(url_for("sign_in.home"))
    return await render_template("register.html", form=form), 400 if form.errors else 200


@blueprint.route("/reauthenticate", methods=["GET", "POST"])
@login_required
async def reauthenticate() -> ResponseReturnValue:
    """Ask for the password again, before what matters most; a token cannot become fresh, so it need not guess."""
    if not uses_cookies():
        return await services().login_manager.needs_refresh()
    form = await ReauthenticationForm.read(next=request.args.get("next"))
    if form.is_complete():
        user = await current_user
        if await services().accounts.verify_current_password(user, form.password.data or "", "reauthentication_failed"):
            await confirm_login()
            return redirect(next_page(form.next.data, "account.account"))
        form.refuse("password", WRONG_PASSWORD)
    return await render_template("reauthenticate.html", form=form), 400 if form.errors else 200
