"""What API clients ask."""

from quart import Blueprint, jsonify
from quart.typing import ResponseReturnValue

from quartlogin import current_user, login_required

blueprint = Blueprint("api", __name__)


@blueprint.get("/api/me")
@login_required
async def me() -> ResponseReturnValue:
    """Answer who the user is, by session or by bearer token."""
    return jsonify(id=current_user.id, username=current_user.username)
