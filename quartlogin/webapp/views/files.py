"""The one file that browsers ask for without being told where it is."""

from quart import Blueprint, current_app
from quart.typing import ResponseReturnValue

blueprint = Blueprint("files", __name__)


@blueprint.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    """Send the icon: the same for everybody."""
    return await current_app.send_static_file("icon.svg")
