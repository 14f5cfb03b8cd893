"""The application's own pages: home, health checks, the user as JSON."""

from typing import Final

from quart import Blueprint, jsonify, redirect, render_template, send_from_directory, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user, login_required
from quartlogin.accounts import STATIC, current_accounts, must_change_password

blueprint = Blueprint("webapp", __name__)

#: Endpoints that stay open to users who must change the password first. `home` redirects by itself, after rendering.
PASSWORD_CHANGE_EXEMPT: Final = {"webapp.home", "webapp.healthz", "webapp.readyz", "webapp.favicon"}
_HEALTH_HEADERS: Final = {"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/")
async def home() -> ResponseReturnValue:
    """Show the home page."""
    page = await render_template("webapp/home.html")
    return redirect(url_for("accounts.change_password")) if await must_change_password() else page


@blueprint.get("/api/me")
@login_required
async def me() -> ResponseReturnValue:
    """Return the user, signed in by session or by bearer token."""
    return jsonify(id=current_user.id, username=current_user.username)


@blueprint.get("/healthz")
async def healthz() -> ResponseReturnValue:
    """Report that the process is alive."""
    return "ok\n", 200, _HEALTH_HEADERS


@blueprint.get("/readyz")
async def readyz() -> ResponseReturnValue:
    """Report that the database responds; 503 otherwise, as for every page."""
    await current_accounts().store.ping()
    return "ok\n", 200, _HEALTH_HEADERS


@blueprint.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    """Send the icon from the address that browsers try."""
    return await send_from_directory(STATIC, "icon.svg")
