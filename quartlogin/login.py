"""Signing in and signing out."""

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from . import remember_cookie, signals, tokens, tracing
from .authentication import logins_in_cookies, logins_of_request
from .config import MAX_DURATION, remember_duration
from .context import can_set_cookies, current_manager
from .current_user import unwrap
from .errors import LoginRefused, RequestNeededError
from .fingerprint import fingerprint
from .records import Login
from .request_state import UserState, state_of_request
from .request_user import user_of_request
from .sessions import login_session
from .unawaited import must_be_awaited
from .user import id_of, require_bool


@must_be_awaited
async def login_user(
    user: Any, remember: bool = False, duration: timedelta | None = None, force: bool = False, fresh: bool = True
) -> bool:
    """Sign a user in: write the user's id and a new login id to the session.

    What an anonymous visitor's session contained stays, and so does what this user's contained; another user's is
    dropped, except the keys in `KEPT_AT_LOGIN`. An earlier login ends, and so does a remembered one. `current_user` is
    this user from now on.

    Args:
        user: The user object; the caller has checked the password.
        remember: Whether the login outlives the session.
        duration: How long it is remembered; `REMEMBER_COOKIE_DURATION` if `None`.
        force: Whether to sign in a user who is not active.
        fresh: Whether the password was checked just now.

    Returns:
        False if the user is not active, or the app's `LoginRecords` reject the login. Then nothing has changed.

    Raises:
        ConfigurationError: The next request could not load the user again, or the login cannot be remembered without a
            `SECRET_KEY`.
        RequestNeededError: There is no request, or this is a websocket.
        TypeError: The user's id is neither a `str` nor an `int`, or the duration is not a timedelta.
        ValueError: The user has no id, or the duration is longer than 100 years.
    """
    state = _state_to_change("login")
    user = unwrap(user)
    _check_duration(duration)
    if remember:
        tokens.check_secret_key("The cookie of login_user(remember=True)")
    if not force and not require_bool(user, "is_active"):
        if tracing.listeners:
            _tell_inactive(user)
        return False
    current_manager().check_loaders()
    login = replace(_new_login(_id_of(user), _end_of(duration) if remember else None), user=user, is_fresh=fresh)
    try:
        await current_manager().records.login_began(login)
    except LoginRefused:
        if tracing.listeners:
            tracing.tell("login", outcome="refused", user_id=login.user_id)
        return False
    await _end(await logins_in_cookies(state), "another login of this browser")
    await login_session.prepare(login.user_id, fingerprint(), left_by=state.left_by)
    login_session.begin(login.user_id, login.id, fresh=fresh)
    login_session.bind_remember_token(login.secret)
    state.login_id, state.signs_in, state.fresh, state.left_by = login.id, True, fresh, None
    state.reload_user = partial(current_manager().load_user, login.user_id)
    _plan_cookie(state, login, duration)
    state.set_user(user)
    if tracing.listeners:
        _tell_login(login, remember=remember)
    await signals.send(signals.user_logged_in, user=user)
    return True


@must_be_awaited
async def logout_user() -> bool:
    """Sign the user out: delete the user's id from the session, and the remember cookie. Always return True.

    A request with a bearer token ends that token, and leaves its cookies alone.

    Raises:
        RequestNeededError: There is no request, or this is a websocket.
    """
    state = _state_to_change("logout")
    user = await user_of_request() if signals.user_logged_out.receivers else None  # only receivers need the user
    if tracing.listeners:
        tracing.tell("logout", user_id=login_session.user_id(also_numbers=True) if state.uses_cookies else None)
    await _end(await logins_of_request(state) | (await logins_in_cookies(state) if state.signs_in else set()), "logout")
    if state.uses_cookies or state.signs_in:
        await _leave_session(state)
        remember_cookie.delete_cookie(state)
    state.login_id = state.fresh = state.reload_user = None
    state.set_user(current_manager().anonymous_user())
    await signals.send(signals.user_logged_out, user=user)
    return True


@must_be_awaited
async def confirm_login() -> None:
    """Make this login fresh again, after the password was checked. It continues under a new id.

    A bearer token's login is never fresh, and stays as it is. So does a session whose user is not, or no longer, signed
    in, whatever user the request has otherwise: an ended login is not begun again.

    Raises:
        RequestNeededError: There is no request, or this is a websocket.
    """
    state = _state_to_change("confirmed")
    if not state.uses_cookies:
        return
    user = await user_of_request()
    if not require_bool(user, "is_authenticated"):
        return
    user_id, old_id = login_session.user_id(), login_session.login_id()
    is_of_session = state.login_id == old_id  # not a user from a request_loader
    if user_id is not None and user_id == _id_of(user) and is_of_session:
        cookie = remember_cookie.read_cookie(state)
        token = None if cookie is None else cookie.token
        if token is not None and token.login_id != old_id:
            token = None  # it belongs to another login
        login = replace(_new_login(user_id, None if token is None else token.expires_at), user=user, is_fresh=True)
        await login_session.regenerate()  # first: if it raises, nothing has changed
        await current_manager().records.login_renewed(old_id or "", login)
        current_manager().sockets.rebind(old_id, login, login_session.secret_hash())
        login_session.renew(login.id, fingerprint())
        login_session.bind_remember_token(login.secret)
        if token is not None:
            state.remember_cookie = replace(token, login_id=login.id, secret=login.secret)
        state.login_id, state.fresh, state.accessed = login.id, True, True
        if tracing.listeners:
            tracing.tell("confirmed", login=tracing.label_of(login.id), former=tracing.label_of(old_id))
    await signals.send(signals.user_login_confirmed)


async def create_bearer_token(user: Any, *, duration: timedelta, name: str | None = None) -> str:
    """Create a token with which an API client acts as this user: `Authorization: Bearer ...`.

    Anyone with the token can use it until it expires, or until the app's `user_loader` no longer accepts its
    `login_id()`.

    Args:
        user: The user object.
        duration: How long the token is valid.
        name: Its name in the app's record of logins.

    Raises:
        ConfigurationError: The app has no `SECRET_KEY` to sign it with.
        LoginRefused: The app's `LoginRecords` reject it.
        TypeError: The user's id is neither a `str` nor an `int`, or the duration is not a timedelta.
        ValueError: The user has no id, or the duration is longer than 100 years.
    """
    _check_duration(duration)
    tokens.check_secret_key("A bearer token")
    expires_at = _end_of(duration)
    user = unwrap(user)
    login = Login(login_session.new_id(), _id_of(user), kind="bearer", expires_at=expires_at, name=name, user=user)
    await current_manager().records.login_began(login)
    return tokens.dump("bearer", tokens.Token(login.user_id, login.id, expires_at))


def _check_duration(duration: timedelta | None) -> None:
    if duration is None:
        return
    if not isinstance(duration, timedelta):
        raise TypeError(f"duration must be a datetime.timedelta, not {duration!r}.")
    if duration > MAX_DURATION:
        raise ValueError(f"duration must be at most {MAX_DURATION.days} days, not {duration.days}.")


def _end_of(duration: timedelta | None) -> int:
    """Return when a remembered login ends, in seconds since 1970."""
    lasting = remember_duration() if duration is None else duration
    return int(time.time() + lasting.total_seconds())


def _new_login(user_id: str, expires_at: int | None) -> Login:
    """Make a login; one with an expiry is remembered until then."""
    secret = None if expires_at is None else login_session.new_id()
    return Login(login_session.new_id(), user_id, secret=secret, expires_at=expires_at)


def _plan_cookie(state: UserState, login: Login, duration: timedelta | None) -> None:
    if login.secret is None:
        remember_cookie.delete_cookie(state)  # it belongs to an earlier user of this browser
        return
    seconds = None if duration is None else int(duration.total_seconds())
    login_session.keep_remember_seconds(seconds)
    remember_cookie.replace_cookie(state, login, seconds)


async def _leave_session(state: UserState) -> None:
    """Remove the login from the session, and give what remains a new id, if it is kept on the server."""
    user_id = login_session.user_id(also_numbers=True)
    state.left_by = user_id or state.left_by
    login_session.end()
    if user_id is not None:
        await login_session.regenerate()


@tracing.harmless
def _tell_inactive(user: Any) -> None:
    try:
        user_id: str | None = _id_of(user)
    except (TypeError, ValueError):  # it has none
        user_id = None
    tracing.tell("login", outcome="not active", user_id=user_id)


@tracing.harmless
def _tell_login(login: Login, *, remember: bool) -> None:
    id_type = _type_of_id(login)
    label = tracing.label_of(login.id)
    told = {"user_id": login.user_id, "id_type": id_type, "login": label, "fresh": login.is_fresh}
    tracing.tell("login", None, outcome="signed in", remember=remember, **told)


def _type_of_id(login: Login) -> str | None:
    """Return the name of the type of the user's id, `None` if it cannot be had."""
    try:
        return type(getattr(login.user, "id", login.user_id)).__name__
    except Exception:  # such as that of a row which is detached from its session
        return None


async def _end(logins: set[str], reason: str) -> None:
    for ended in logins:
        await current_manager().records.login_ended(ended)
        current_manager().sockets.close(ended)
        if tracing.listeners:
            tracing.tell("login_ended", login=tracing.label_of(ended), reason=reason)


def _id_of(user: Any) -> str:
    return id_of(user, current_manager().id_attribute)


def _state_to_change(step: str) -> UserState:
    state = state_of_request()
    if state is None or not can_set_cookies():
        if tracing.listeners:
            tracing.tell(step, outcome="no response", user_id=None)
        raise RequestNeededError(
            "Signing in and out needs a request, whose answer carries the session cookie: a websocket cannot set one, "
            "nor can a finished answer. Do it in a view, and let the page open the websocket afterwards."
        )
    return state
