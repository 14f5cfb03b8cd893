"""Authentication: where a request may say who sent it, in the order in which these places are checked.

1. An `Authorization: Bearer` header with a token that we have signed. Then nothing else is checked.
2. The session's user id, if session protection allows it.
3. The remember cookie.
4. The app's `request_loader`.

Any other bearer token is left to the `request_loader`, which then comes first; for a browser, cookies are checked too.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from . import remember_cookie, signals, tokens, tracing
from .config import session_protection
from .context import Manager, can_set_cookies, current_connection, current_manager
from .errors import LoginRefused
from .fingerprint import fingerprint, older_fingerprints
from .records import Login, hash_of_secret
from .request_state import UserState
from .request_steps import tell_user
from .sessions import login_session
from .sessions.inspection import tell_other_interfaces_cookie
from .websockets.origin import is_foreign_websocket


async def find_user(state: UserState) -> Any:
    """Return the user who sent this request, the anonymous user if it is unknown.

    Raises:
        ConfigurationError: The app has registered no loader.
        Exception: Whatever a loader raised.
    """
    manager = current_manager()
    manager.check_loaders()
    bearer = state.bearer
    if tracing.listeners and bearer is not None:
        _tell_bearer(bearer)
    if bearer is None:
        user = await _from_cookies(state, manager)
    elif bearer.is_ours:
        user = await _from_bearer_token(state, bearer.text)
    else:
        user = await _from_foreign_token(state, manager)
    if tracing.listeners:
        tell_user(user)
    return manager.anonymous_user() if user is None else user


async def logins_of_request(state: UserState) -> set[str]:
    """Return the ids of the logins that this request names, whether or not they are active."""
    if state.uses_cookies:
        return await logins_in_cookies(state)
    token = None if state.bearer is None else state.bearer.token
    return set() if token is None else {token.login_id}


async def logins_in_cookies(state: UserState) -> set[str]:
    """Return the ids of the logins that this browser's session and remember cookie name.

    A view that has cleared the session means to end the login in it, so the session cookie is read once more then.
    """
    remembered = remember_cookie.read_cookie(state)
    token = None if remembered is None else remembered.token
    sent = None if state.left_by is not None else await login_session.login_id_as_sent()
    logins = {login_session.login_id(), sent, None if token is None else token.login_id}
    return {login for login in logins if login is not None}


async def _from_bearer_token(state: UserState, text: str) -> Any:
    user = await _ask(state, partial(_user_of_token, text))
    if user is None:
        await signals.send(signals.credentials_refused, kind="bearer")
    return user


async def _from_foreign_token(state: UserState, manager: Manager) -> Any:
    """Authenticate by the app's loader, or by the cookies of a browser behind a gateway that added the token."""
    if is_foreign_websocket():
        return None  # the gateway also adds its token to requests of other sites' pages
    user = await _from_request(state)
    if user is None and state.uses_cookies:
        return await _from_cookies(state, manager)
    if user is None:
        await signals.send(signals.credentials_refused, kind="bearer")
    return user


async def _user_of_token(text: str) -> Any:
    """Load the user of a bearer token, if it is valid."""
    token = tokens.load("bearer", text)
    return None if token is None else await current_manager().load_user(token.user_id)


async def _ask(state: UserState, question: Callable[[], Awaitable[Any]]) -> Any:
    """Call a loader, and keep it for later reloads."""
    user = await question()
    if user is not None:
        state.reload_user = question
    return user


async def _from_cookies(state: UserState, manager: Manager) -> Any:
    if is_foreign_websocket():
        return None  # another site's page opened it, and the browser added our cookies
    if tracing.listeners:
        _tell_session(manager)
    if _comes_from_other_browser(manager) and not await _protect_session(state, manager):
        return None
    user = await _from_session(state, manager)
    if user is None:
        user = await _from_remember_cookie(state)
    if user is None and state.bearer is None:  # otherwise it has been called already
        user = await _from_request(state)
    return user


@tracing.harmless
def _tell_bearer(bearer: tokens.Credential) -> None:
    token, outcome = bearer.token, "not ours"
    if bearer.is_ours:
        outcome = "invalid" if token is None else "valid"
    user_id, login = (None, None) if token is None else (token.user_id, tracing.label_of(token.login_id))
    tracing.tell("bearer", outcome=outcome, user_id=user_id, login=login)


@tracing.harmless
def _tell_session(manager: Manager) -> None:
    login_session.user_id()  # this reads the session: our own interface tells its cookie then
    tell_other_interfaces_cookie()
    login_session.tell()
    mode = session_protection(manager.session_protection)
    if login_session.user_id(also_numbers=True) is not None:
        outcome = "off" if mode is None else "same browser" if _is_same_browser(manager) else "other browser"
        tracing.tell("protection", mode=mode, outcome=outcome)


def _comes_from_other_browser(manager: Manager) -> bool:
    """Tell whether the session signs a user in, and session protection finds it in another browser."""
    if session_protection(manager.session_protection) is None or _is_same_browser(manager):
        return False
    return login_session.user_id(also_numbers=True) is not None


async def _protect_session(state: UserState, manager: Manager) -> bool:
    """Apply session protection to a session in another browser; return whether its login stays valid."""
    counts = session_protection(manager.session_protection) == "basic" or login_session.is_permanent()
    state.fresh = False
    if can_set_cookies():
        if counts:
            login_session.mark_not_fresh()
        else:
            state.left_by = login_session.user_id(also_numbers=True)
            login_session.end()
            remember_cookie.delete_cookie(state)
    elif not counts:
        state.login_id = None
    await signals.send(signals.session_protected)
    return counts


def _is_same_browser(manager: Manager) -> bool:
    ours = fingerprint()
    if login_session.matches_fingerprint([ours]):
        return True
    return manager.import_flask_login and login_session.matches_fingerprint([*older_fingerprints()])


async def _from_session(state: UserState, manager: Manager) -> Any:
    user_id = login_session.user_id(also_numbers=manager.import_flask_login)
    if user_id is None:
        return None
    is_imported = manager.import_flask_login and login_session.login_id() is None and can_set_cookies()
    if is_imported:
        try:
            await _adopt_session(state, user_id)
        except LoginRefused:
            return None
    question = partial(manager.load_user, user_id)
    user = await question()  # like `_ask`, with one coroutine fewer for every page
    if user is not None:
        state.reload_user = question
    if user is None and is_imported:
        await manager.records.login_ended(state.login_id or "")
    return user


async def _adopt_session(state: UserState, user_id: str) -> None:
    """Give a login that Flask-Login began an id, and replace its remember cookie, if any, by ours."""
    cookie = remember_cookie.read_cookie(state)
    remembered = None if cookie is None else cookie.flask_login_id
    is_remembered = remembered == user_id
    secret = login_session.new_id() if is_remembered else None
    login = Login(login_session.new_id(), user_id, secret=secret, is_imported=True)
    await current_manager().records.login_began(login)
    login_session.adopt(user_id, login.id, fingerprint())
    login_session.bind_remember_token(secret)
    if is_remembered:
        remember_cookie.replace_cookie(state, login, login_session.remember_seconds())


async def _from_remember_cookie(state: UserState) -> Any:
    cookie = remember_cookie.read_cookie(state)
    if cookie is None:
        return None
    if tracing.listeners:
        remember_cookie.tell_read(cookie)
    user = await _resume(state, cookie)
    if tracing.listeners:
        remember_cookie.tell_restored(cookie, is_restored=user is not None)
    if user is not None:
        await signals.send(signals.user_loaded_from_cookie, user=user)
        return user
    if cookie.is_ours:
        remember_cookie.delete_cookie(state)  # broken, expired or ended; a cookie that is not ours stays
    if cookie.token is None and cookie.flask_login_id is None:
        await signals.send(signals.credentials_refused, kind="remember")
    return None


async def _resume(state: UserState, cookie: remember_cookie.RememberCookie) -> Any:
    """Resume the login that a remember cookie names. Records are written only if there is such a user."""
    token = cookie.token
    if token is None:
        return await _migrate_flask_login_cookie(state, cookie)
    login = Login(token.login_id, token.user_id, secret=token.secret, expires_at=token.expires_at)
    user = await _load_as(state, login)  # first: a new secret must reach the browser
    if user is None:
        return None
    new_secret = login_session.new_id() if can_set_cookies() else None
    try:
        is_renewed = await current_manager().records.login_restored(login, new_secret)
    except LoginRefused:
        state.login_id = state.reload_user = None
        return None
    if can_set_cookies():
        await login_session.prepare(login.user_id, fingerprint(), left_by=state.left_by)
        login_session.resume(login.user_id, login.id, token.seconds)
        login_session.bind_remember_token(new_secret if is_renewed else token.secret)
        if is_renewed:
            state.remember_cookie = replace(token, secret=new_secret)
    elif token.secret is not None:
        state.secret_hash = hash_of_secret(token.secret)  # it cannot be replaced here, so it is compared again
    return user


async def _migrate_flask_login_cookie(state: UserState, cookie: remember_cookie.RememberCookie) -> Any:
    """Take over a login that Flask-Login remembers, and replace its cookie."""
    user_id = cookie.flask_login_id if current_manager().import_flask_login else None
    if user_id is None or not can_set_cookies():
        return None
    login = Login(login_session.new_id(), user_id, secret=login_session.new_id(), is_imported=True)
    try:
        await current_manager().records.login_began(login)
    except LoginRefused:
        return None
    user = await _load_as(state, login)
    if user is None:
        await current_manager().records.login_ended(login.id)
        return None
    seconds = login_session.remember_seconds()
    await login_session.prepare(user_id, fingerprint(), left_by=state.left_by)
    login_session.resume(user_id, login.id, seconds)
    login_session.bind_remember_token(login.secret)
    remember_cookie.replace_cookie(state, login, seconds)
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
        state.login_id, state.fresh = None, False  # the user does not belong to the session's login
        await signals.send(signals.user_loaded_from_request, user=user)
    return user
