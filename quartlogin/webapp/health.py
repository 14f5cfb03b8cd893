"""What a load balancer asks."""

from quart import Blueprint
from quart.typing import ResponseReturnValue

from ..accounts.accounts import services

blueprint = Blueprint("health", __name__)

_HEADERS = {"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/healthz")
async def healthz() -> ResponseReturnValue:
    """Answer: the process lives."""
    return "ok\n", 200, _HEADERS


@blueprint.get("/readyz")
async def readyz() -> ResponseReturnValue:
    """Answer if the database does; 503 otherwise, as for every page."""
    await services().store.ping()
    return "ok\n", 200, _HEADERS
