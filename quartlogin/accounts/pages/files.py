"""What browsers and password managers ask for at fixed addresses."""

from quart import Blueprint, current_app, redirect, url_for
from quart.typing import ResponseReturnValue

blueprint = Blueprint("files", __name__)


@blueprint.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    """Send the icon: the same for everybody."""
    return await current_app.send_static_file("icon.svg")


@blueprint.get("/.well-known/change-password")
async def change_password() -> ResponseReturnValue:
    """Lead password managers to the page that changes the password (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(url_for("password.change"))
