"""Who sent this request: the places where that may be written, in the order in which they are asked.

1. An `Authorization: Bearer` header. Then cookies are not looked at.
2. The session's user id, if session protection lets it count.
3. The remember cookie.
4. The app's `request_loader`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from . import remember, session, signals, tokens
from .config import session_protection
from .connection import can_set_cookies, current_connection
from .errors import LoginRefused
from .extension import current_manager
from .flask_login import fingerprint, older_fingerprints
from .origins import is_foreign_websocket
from .records import Login
from .state import UserState

if TYPE_CHECKING:
    from .manager import LoginManager


async def find_user(state: UserState) -> Any:
    """Return the user who sent this request, the anonymous user if nobody known did.

    Raises:
        ConfigurationError: The app has registered no loader.
        Exception: Whatever a loader raised.
    """
    manager = current_manager()
    manager.check_loaders()
    bearer = state.bearer
    user = await (_from_cookies(state, manager) if bearer is None else _from_bearer_token(state, bearer))
    return manager.anonymous_user() if user is None else user


def logins_of_request() -> set[str]:
    """Return the ids of the logins that this request carries, without asking whether they still count."""
    bearer = tokens.bearer_token()
    if bearer is not None:
        token = tokens.load("bearer", bearer)
        return set() if token is None else {token.login_id}
    return logins_in_cookies()


def logins_in_cookies() -> set[str]:
    """Return the ids of the logins that this browser's session and remember cookie carry."""
    cookie = remember.read_cookie()
    remembered = None if cookie is None else remember.read_token(cookie)
    logins = {session.login_id(), None if remembered is None else remembered.login_id}
    return {login for login in logins if login is not None}


async def _from_bearer_token(state: UserState, text: str) -> Any:
    user = await _ask(state, partial(_user_of_token, text))
    if user is None:
        await signals.send(signals.credentials_refused, kind="bearer")
    return user


async def _user_of_token(text: str) -> Any:
    """Load the user of a bearer token, if it is still good."""
    token = tokens.load("bearer", text)
    return None if token is None else await current_manager().load_user(token.user_id)


async def _ask(state: UserState, question: Callable[[], Awaitable[Any]]) -> Any:
    """Ask a loader, and keep the question for those who want to ask again later."""
    user = await question()
    if user is not None:
        state.reload_user = question
    return user


async def _from_cookies(state: UserState, manager: "LoginManager[Any]") -> Any:
    if is_foreign_websocket():
        return None  # another site's page opened it, and the browser added our cookies
    if not await _protect(state, manager):
        return None
    user = await _from_session(state, manager)
    if user is None:
        user = await _from_remember_cookie(state)
    return await _from_request(state) if user is None else user


async def _protect(state: UserState, manager: "LoginManager[Any]") -> bool:
    """Hold the session against the browser it was begun in; returns whether it counts."""
    mode = session_protection(manager.session_protection)
    if mode is None or session.user_id(also_numbers=True) is None or _is_same_browser(manager):
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


def _is_same_browser(manager: "LoginManager[Any]") -> bool:
    ours = fingerprint()
    if session.is_from([ours]):
        return True
    return manager.import_flask_login and session.is_from([*older_fingerprints()])


async def _from_session(state: UserState, manager: "LoginManager[Any]") -> Any:
    user_id = session.user_id(also_numbers=manager.import_flask_login)
    if user_id is None:
        return None
    is_imported = manager.import_flask_login and session.login_id() is None and can_set_cookies()
    if is_imported:
        try:
            await _adopt_session(state, user_id)
        except LoginRefused:
            return None
    user = await _ask(state, partial(manager.load_user, user_id))
    if user is None and is_imported:
        await manager.records.login_ended(state.login_id or "")
    return user


async def _adopt_session(state: UserState, user_id: str) -> None:
    """Give a login that Flask-Login began an id, and its remember cookie, if there is one, our form."""
    cookie = remember.read_cookie()
    is_remembered = cookie is not None and remember.read_flask_login_id(cookie) == user_id
    secret = session.new_id() if is_remembered else None
    login = Login(session.new_id(), user_id, secret=secret, is_imported=True)
    await current_manager().records.login_began(login)
    session.adopt(user_id, login.id, fingerprint())
    session.belong_to(secret)
    if is_remembered:
        session.ask_to_remember()
        state.remember_secret = secret


async def _from_remember_cookie(state: UserState) -> Any:
    cookie = remember.read_cookie()
    if cookie is None:
        return None
    user = await _resume(state, cookie)
    if user is not None:
        await signals.send(signals.user_loaded_from_cookie, user=user)
    elif remember.read_flask_login_id(cookie) is None:
        if can_set_cookies():
            session.ask_to_forget()  # broken, expired or ended; Flask-Login's own are not ours to delete
        if remember.read_token(cookie) is None:
            await signals.send(signals.credentials_refused, kind="remember")
    return user


async def _resume(state: UserState, cookie: str) -> Any:
    """Go on with the login that a remember cookie names. What is written is written only if there is such a user."""
    token = remember.read_token(cookie)
    if token is None:
        return await _import(state, cookie)
    login = Login(token.login_id, token.user_id, secret=token.secret, expires_at=token.expires_at)
    user = await _load_as(state, login)  # first: a secret that is renewed has to reach the browser
    if user is None:
        return None
    new_secret = session.new_id() if can_set_cookies() else None
    try:
        is_renewed = await current_manager().records.login_restored(login, new_secret)
    except LoginRefused:
        state.login_id = state.reload_user = None
        return None
    if can_set_cookies():
        session.resume(login.user_id, login.id, fingerprint(), token.seconds)
        session.belong_to(new_secret if is_renewed else token.secret)
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
    if user is None:
        await current_manager().records.login_ended(login.id)
        return None
    session.resume(user_id, login.id, fingerprint(), None)
    session.belong_to(login.secret)
    session.ask_to_remember()
    state.remember_secret = login.secret
    return user


async def _load_as(state: UserState, login: Login) -> Any:
    """Load the user of a login that is not, or not yet, the session's."""
    state.login_id, state.fresh = login.id, False
    user = await _ask(state, partial(current_manager().load_user, login.user_id))
    if user is None:
        state.login_id = None
    return user


async def _from_request(state: UserState) -> Any:
    user = await _ask(state, partial(current_manager().load_user_from_request, current_connection()))
    if user is not None:
        state.login_id, state.fresh = None, False  # whatever the session says: this is not its login
        await signals.send(signals.user_loaded_from_request, user=user)
    return user
