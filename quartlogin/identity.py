"""Who sent this request: the places where that may be written, in the order in which they are asked.

1. An `Authorization: Bearer` header. Then cookies are not looked at.
2. The session's user id, if session protection lets it count.
3. The remember cookie.
4. The app's `request_loader`.
"""

from typing import Any, Final

from . import remember, session, signals, tokens
from .config import session_protection
from .connection import can_set_cookies, current_connection
from .errors import LoginRefused
from .extension import current_manager
from .flask_login import fingerprint, older_fingerprints
from .origins import is_own_origin
from .records import Login
from .state import UserState

_BEARER: Final = "bearer "


async def find_user(state: UserState) -> Any:
    """Return the user who sent this request, the anonymous user if nobody known did.

    Raises:
        ConfigurationError: The app has registered no loader.
        Exception: Whatever a loader raised.
    """
    manager = current_manager()
    manager.check_loaders()
    bearer = bearer_token()
    user = await (_from_cookies(state) if bearer is None else _from_bearer_token(state, bearer))
    return manager.anonymous_user() if user is None else user


def bearer_token() -> str | None:
    """Return the token of an `Authorization: Bearer` header (RFC 6750), `None` if the request has none."""
    header = current_connection().headers.get("Authorization", "")
    return header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else None


async def _from_bearer_token(state: UserState, text: str) -> Any:
    state.is_by_token, state.fresh = True, False
    token = tokens.load("bearer", text)
    state.login_id = None if token is None else token.login_id
    return None if token is None else await current_manager().load_user(token.user_id)


async def _from_cookies(state: UserState) -> Any:
    if not can_set_cookies() and not is_own_origin():
        return None  # another site's page opened this websocket, and the browser added our cookies
    if not await _protect(state):
        return None
    user = await _from_session()
    if user is None:
        user = await _from_remember_cookie(state)
    return await _from_request() if user is None else user


async def _protect(state: UserState) -> bool:
    """Hold the session against the browser it was begun in; returns whether it counts."""
    mode = session_protection(current_manager().session_protection)
    if mode is None or session.user_id() is None or _is_same_browser():
        return True
    counts = mode == "basic" or session.is_permanent()
    state.fresh = False
    if can_set_cookies():
        if counts:
            session.mark_not_fresh()
        else:
            session.end()
            session.ask_to_forget()
    elif not counts:
        state.login_id = None
    await signals.send(signals.session_protected)
    return counts


def _is_same_browser() -> bool:
    ours = fingerprint()
    if session.is_from([ours]):
        return True
    return current_manager().import_flask_login and session.is_from([*older_fingerprints()])


async def _from_session() -> Any:
    user_id = session.user_id()
    if user_id is None:
        return None
    if current_manager().import_flask_login and session.login_id() is None and can_set_cookies():
        login = Login(session.new_id(), user_id, is_imported=True)
        try:
            await current_manager().records.login_began(login)
        except LoginRefused:
            return None
        session.adopt(login.id, fingerprint())
    return await current_manager().load_user(user_id)


async def _from_remember_cookie(state: UserState) -> Any:
    cookie = remember.read_cookie()
    if cookie is None:
        return None
    user = await _resume(state, cookie)
    if user is not None:
        await signals.send(signals.user_loaded_from_cookie, user=user)
    elif can_set_cookies() and remember.read_flask_login_id(cookie) is None:
        session.ask_to_forget()  # broken, expired or ended; Flask-Login's own are not ours to delete
    return user


async def _resume(state: UserState, cookie: str) -> Any:
    """Go on with the login that a remember cookie names. What is written is written only if there is such a user."""
    token = remember.read_token(cookie)
    if token is None:
        return await _import(state, cookie)
    login = Login(token.login_id, token.user_id, secret=token.secret, expires_at=token.expires_at)
    new_secret = session.new_id() if can_set_cookies() else None
    try:
        is_renewed = await current_manager().records.login_restored(login, new_secret)
    except LoginRefused:
        return None
    user = await _load_as(state, login)
    if user is not None and can_set_cookies():
        session.resume(login.user_id, login.id, fingerprint(), token.seconds)
        if is_renewed:
            state.remember_secret, state.remember_until = new_secret, token.expires_at
            session.ask_to_remember()
    return user


async def _import(state: UserState, cookie: str) -> Any:
    """Take over a login that Flask-Login remembers, and have its cookie replaced."""
    user_id = remember.read_flask_login_id(cookie) if current_manager().import_flask_login else None
    if user_id is None or not can_set_cookies():
        return None
    login = Login(session.new_id(), user_id, secret=session.new_id(), is_imported=True)
    try:
        await current_manager().records.login_began(login)
    except LoginRefused:
        return None
    user = await _load_as(state, login)
    if user is not None:
        session.resume(user_id, login.id, fingerprint(), None)
        session.ask_to_remember()
        state.remember_secret = login.secret
    return user


async def _load_as(state: UserState, login: Login) -> Any:
    """Load the user of a login that is not, or not yet, the session's."""
    state.login_id, state.fresh = login.id, False
    user = await current_manager().load_user(login.user_id)
    if user is None:
        state.login_id = None
    return user


async def _from_request() -> Any:
    user = await current_manager().load_user_from_request(current_connection())
    if user is not None:
        await signals.send(signals.user_loaded_from_request, user=user)
    return user
