"""Signing in and signing out."""

from typing import Any

from quart import has_request_context

from . import session, signals
from .current import unwrap
from .errors import RequestNeededError
from .extension import current_manager
from .loading import UserState, load_user, state_of_request


async def login_user(user: Any, *, force: bool = False, fresh: bool = True) -> bool:
    """Sign a user in: write the user's id and a new login id into the session.

    What the session held before is dropped, but for flashed messages, and `current_user` is this user from now on.

    Args:
        user: The user object; checking the password was the caller's part.
        force: Sign in a user who is not active, too.
        fresh: Whether the password was checked just now.

    Returns:
        False if the user is not active, and then nothing has changed.

    Raises:
        RequestNeededError: There is no request, or this is a websocket.
        ValueError: The user has no id.
    """
    state = _state_to_change()
    user = unwrap(user)
    if not force and not user.is_active:
        return False
    user_id = getattr(user, current_manager().id_attribute)()
    if user_id is None:
        raise ValueError(f"{type(user).__name__}.get_id() gave None: only a user with an id can be signed in.")
    session.begin(str(user_id), session.new_login_id(), fresh=fresh)
    state.set_user(user)
    await signals.send(signals.user_logged_in, user=user)
    return True


async def logout_user() -> bool:
    """Sign the user out: delete the user's id from the session. Always returns True.

    Raises:
        RequestNeededError: There is no request, or this is a websocket.
    """
    state = _state_to_change()
    user = await load_user()
    session.end()
    state.set_user(current_manager().anonymous_user())
    await signals.send(signals.user_logged_out, user=user)
    return True


def _state_to_change() -> UserState:
    state = state_of_request()
    if state is None or not has_request_context():
        raise RequestNeededError(
            "Signing in and out needs a request, whose answer carries the session cookie: "
            "a websocket cannot set one. Do it in a view and let the page open the websocket afterwards."
        )
    return state
