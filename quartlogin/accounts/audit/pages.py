"""The websocket that sends new events to an open account page."""

import asyncio
from typing import Any, Final

from quart import Blueprint, abort, websocket

from quartlogin import login_required

from ..context import current_accounts, current_login
from ..database.models import AccountLogin, Event
from ..pages.user_agents import describe

_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1; the extension sends it when a login ends
_UNSUPPORTED_DATA: Final = 1003


def add_pages(blueprint: Blueprint) -> None:
    """Add the websocket to the blueprint of the accounts."""
    blueprint.add_websocket("/account/live", view_func=updates)


@login_required
async def updates() -> None:
    """Send a JSON message for each event of the user's account until this login ends."""
    login, account_updates = await current_login(), current_accounts().account_updates
    if login is None:
        abort(401)
    if not account_updates.has_room(login.user_id):
        abort(429)
    receiving = asyncio.ensure_future(websocket.receive())  # the page is not expected to send anything
    with account_updates.listen(login.user_id) as events:
        sending = asyncio.ensure_future(_send_updates(login, events))
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


async def _send_updates(login: AccountLogin, events: Any) -> None:
    async for event in events:
        found = await current_accounts().user_loader.find_login(login.user_id)
        if found is None or found.login.must_change_password:
            await websocket.close(_POLICY_VIOLATION, "The login has ended.")
            return
        await websocket.send_json(_message(event, login.public_id))


def _message(event: Event, this_login: str) -> dict[str, Any]:
    return {
        "event": event.kind,
        "text": current_accounts().audit_log.describe(event.kind),
        "at": event.happened_at,
        "address": event.address,
        "browser": describe(event.browser),
        "here": event.subject == this_login,
    }
