"""The websocket that sends new events to an open account page."""

import asyncio
from typing import Any, Final

from quart import Blueprint, abort, websocket

from quartlogin import current_user, login_required

from ..context import current_accounts
from ..database.models import Event
from ..pages.filters import describe_event
from ..pages.user_agents import describe

_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1; the extension sends it when a login ends
_UNSUPPORTED_DATA: Final = 1003


def add_pages(blueprint: Blueprint) -> None:
    """Add the websocket to the blueprint of the accounts."""
    blueprint.add_websocket("/account/live", view_func=updates)


@login_required
async def updates() -> None:
    """Send a JSON message for each event of the user's account until this login ends."""
    user, account_updates = await current_user, current_accounts().account_updates
    if not account_updates.has_room(user.id):
        abort(429)
    receiving = asyncio.ensure_future(websocket.receive())  # the page is not expected to send anything
    with account_updates.listen(user.id) as events:
        sending = asyncio.ensure_future(_send_updates(user, events))
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
            else:
                await websocket.close(_UNSUPPORTED_DATA, "This websocket accepts no messages.")
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)


async def _send_updates(user: Any, events: Any) -> None:
    async for event in events:
        found = await current_accounts().user_loader.find(user.id)
        if found is None or found.must_change_password:
            await websocket.close(_POLICY_VIOLATION, "The login has ended.")
            return
        await websocket.send_json(_message(event, user.login_public_id))


def _message(event: Event, this_login: str) -> dict[str, Any]:
    return {
        "event": event.kind,
        "text": describe_event(event.kind),
        "at": event.happened_at,
        "address": event.address,
        "browser": describe(event.browser),
        "here": event.subject == this_login,
    }
