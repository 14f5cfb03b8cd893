"""The way in and out: home, sign in, sign out, register."""

from quart import Blueprint, abort, flash, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user, login_user, logout_user, safe_next

from ..forms import LoginForm, LogoutForm, RegistrationForm
from ..services import services
from ..store import UsernameTaken

blueprint = Blueprint("sign_in", __name__)

#: One sentence for every failed sign-in, whatever the reason (OWASP Authentication Cheat Sheet).
FAILED = "The username or the password is not right."


@blueprint.get("/")
async def home() -> ResponseReturnValue:
    """Greet whoever is there."""
    return await render_template("home.html")


@blueprint.route("/login", methods=["GET", "POST"])
async def login() -> ResponseReturnValue:
    """Show the login page; when it is submitted, check the credentials and sign the user in."""
    form = await LoginForm.read(next=request.args.get("next"))
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(_page_after_login(form))
    if form.is_complete():
        user = await services().accounts.authenticate(form.username.data or "", form.password.data or "")
        if user is not None:
            await login_user(user, remember=form.remember.data)
            return redirect(_page_after_login(form))
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
        return redirect(url_for("sign_in.home"))
    return await render_template("logout.html")


@blueprint.route("/register", methods=["GET", "POST"])
async def register() -> ResponseReturnValue:
    """Make an account and sign in with it."""
    settings = services().settings
    if not settings.registration:
        abort(404)
    form = await RegistrationForm.read(password_min_length=settings.password_min_length)
    if request.method != "POST" and (await current_user).is_authenticated:
        return redirect(url_for("sign_in.home"))
    if form.is_complete():
        try:
            user = await services().accounts.register(form.username.data or "", form.password.data or "")
        except UsernameTaken:
            form.refuse("username", "This name is taken: choose another one.")
        else:
            await login_user(user)
            await flash("Your account is ready.")
            return redirect(url_for("sign_in.home"))
    return await render_template("register.html", form=form), 400 if form.errors else 200


def _page_after_login(form: LoginForm) -> str:
    return safe_next(form.next.data) or url_for("sign_in.home")
