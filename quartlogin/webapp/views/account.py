"""The pages about the signed-in user's own account."""

from quart import Blueprint, render_template
from quart.typing import ResponseReturnValue

from quartlogin import login_required

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@login_required
async def account() -> ResponseReturnValue:
    """Show who is signed in."""
    return await render_template("account.html")
