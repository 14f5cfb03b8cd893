"""The websocket that an open account page listens to."""

import asyncio
from typing import Any, Final

from quart import Blueprint, abort, websocket

from quartlogin import current_user, login_required

from ..accounts import services
from ..database.models import Event
from ..pages.filters import event as describe_event
from ..pages.user_agents import describe

blueprint = Blueprint("live", __name__)

_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1: what the extension says when a login ends
_UNSUPPORTED_DATA: Final = 1003


@blueprint.websocket("/account/live")
@login_required
async def live() -> None:
    """Send a JSON message for each event of the user's account until this sign-in ends."""
    user = await current_user
    if not services().live.has_room(user.id):
        abort(429)
    saying = asyncio.ensure_future(websocket.receive())  # nothing is expected of the page
    with services().live.listen(user.id) as events:
        telling = asyncio.ensure_future(_tell(user, events))
        try:
            await asyncio.wait({saying, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                await telling
            else:
                await websocket.close(_UNSUPPORTED_DATA, "This websocket only tells.")
        finally:
            for task in (saying, telling):
                task.cancel()
            await asyncio.gather(saying, telling, return_exceptions=True)


async def _tell(user: Any, events: Any) -> None:
    async for event in events:
        found = await services().user_loader.find(user.id)
        if found is None or found.must_change_password:
            await websocket.close(_POLICY_VIOLATION, "The login has ended.")
            return
        await websocket.send_json(_message(event, user.login_public_id))


def _message(event: Event, this_public_id: str) -> dict[str, Any]:
    return {
        "event": event.kind,
        "text": describe_event(event.kind),
        "at": event.happened_at,
        "address": event.address,
        "browser": describe(event.browser),
        "here": event.subject == this_public_id,
    }
