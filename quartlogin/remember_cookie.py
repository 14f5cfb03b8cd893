"""The only module that sets, reads and deletes the remember cookie."""

import time
from dataclasses import dataclass, replace
from typing import Any, Final

from quart import current_app
from quart.typing import ResponseTypes

from . import tokens, tracing
from .config import option, remember_duration
from .context import current_connection, current_manager
from .flask_login import decode_cookie
from .records import Login
from .request_state import Deleted, UserState, state_of_request
from .sessions import login_session

#: Prefixes that browsers enforce (RFC 6265bis, 4.1.3): no other host, or at least no plain connection, can set these.
_HOST_PREFIX: Final = "__Host-"
_SECURE_PREFIX: Final = "__Secure-"


@dataclass(frozen=True)
class RememberCookie:
    """The remember cookie of a request."""

    #: Whether we have signed it; it may have expired since.
    is_ours: bool
    #: Its token, `None` if it is not valid.
    token: tokens.Token | None
    #: The user's id, if Flask-Login has signed it with a key of this app.
    flask_login_id: str | None


def read_cookie(state: UserState) -> RememberCookie | None:
    """Return the request's remember cookie, `None` if it has none or it is to be ignored."""
    text: str | None = current_connection().cookies.get(_name())
    if text is None or state.remember_cookie is Deleted.DELETED or login_session.is_to_be_forgotten():
        return None
    return _read(text)


@tracing.harmless
def tell_read(cookie: RememberCookie) -> None:
    """Tell what the remember cookie says."""
    is_valid = cookie.token is not None or cookie.flask_login_id is not None
    outcome = "valid" if is_valid else "expired or ended" if cookie.is_ours else "bad signature"
    tracing.tell("remember_cookie", cookie=_name(), outcome=outcome, **_login_in(cookie))


@tracing.harmless
def tell_restored(cookie: RememberCookie, *, is_restored: bool) -> None:
    """Tell whether a valid remember cookie restored its login."""
    if cookie.token is not None or cookie.flask_login_id is not None:
        tracing.tell("restored", outcome="restored" if is_restored else "refused", **_login_in(cookie))


def _login_in(cookie: RememberCookie) -> dict[str, Any]:
    token = cookie.token
    user_id, login = (cookie.flask_login_id, None) if token is None else (token.user_id, token.login_id)
    return {"user_id": user_id, "login": tracing.label_of(login)}


def login_remembered() -> bool:
    """Tell whether this browser's login outlives its session."""
    state = state_of_request()
    if state is None:
        return False
    state.access()
    cookie = read_cookie(state) if state.uses_cookies else None
    if cookie is None:
        return False
    return cookie.token is not None or (current_manager().import_flask_login and cookie.flask_login_id is not None)


def replace_cookie(state: UserState, login: Login, seconds: int | None) -> None:
    """Set the cookie for this login with the response.

    Args:
        state: This request's.
        login: The login, with a secret.
        seconds: How long it is remembered, if it has its own duration.
    """
    expires_at = login.expires_at or _end_of(seconds)
    state.remember_cookie = tokens.Token(login.user_id, login.id, expires_at, login.secret, seconds)


def delete_cookie(state: UserState) -> None:
    """Delete the request's cookie with the response, if it is ours, and set none."""
    if state.remember_cookie is Deleted.DELETED:
        return
    text = current_connection().cookies.get(_name())
    cookie = None if text is None else _read(text)
    is_ours = cookie is not None and (cookie.is_ours or cookie.flask_login_id is not None)
    state.remember_cookie = Deleted.DELETED if is_ours else None  # on one host, another app may use the name


def update_cookie(state: UserState, response: ResponseTypes) -> None:
    """Set or delete the cookie as this request, which has accessed the user, requires."""
    if not state.uses_cookies and not state.signs_in:
        return  # cookies do not identify this request
    _obey_flask_logins_request(state)
    wanted = state.remember_cookie
    if wanted is Deleted.DELETED:
        response.delete_cookie(_name(), **_attributes())  # with the attributes that it was set with
    elif wanted is not None:
        _set_cookie(response, wanted)
    elif option("REMEMBER_COOKIE_REFRESH_EACH_REQUEST"):
        _refresh_cookie(state, response)


def _read(text: str) -> RememberCookie:
    ours = tokens.read("remember", text)
    return RememberCookie(ours.is_ours, ours.token, None if ours.is_ours else decode_cookie(text))


def _obey_flask_logins_request(state: UserState) -> None:
    """Do, once, what the app has requested with the session key that Flask-Login uses."""
    wanted = login_session.pop_remember_action()
    if wanted is None or state.remember_cookie is not None:
        return
    user_id, login_id = login_session.user_id(), login_session.login_id()
    if wanted == "clear":
        delete_cookie(state)
    elif wanted == "set" and user_id is not None and login_id is not None and current_app.secret_key:
        replace_cookie(state, Login(login_id, user_id), login_session.remember_seconds())


def _refresh_cookie(state: UserState, response: ResponseTypes) -> None:
    """Restart the duration of a remembered login."""
    cookie = read_cookie(state)
    token = None if cookie is None else cookie.token
    if token is not None and token.login_id == login_session.login_id():
        _set_cookie(response, replace(token, expires_at=_end_of(token.seconds)))


def _end_of(seconds: int | None) -> int:
    """Return when a login ends that is remembered from now on, in seconds since 1970."""
    return int(time.time()) + (int(remember_duration().total_seconds()) if seconds is None else seconds)


def _set_cookie(response: ResponseTypes, token: tokens.Token) -> None:
    response.set_cookie(_name(), tokens.dump("remember", token), expires=token.expires_at, **_attributes())


def _attributes() -> dict[str, Any]:
    return {
        "domain": option("REMEMBER_COOKIE_DOMAIN"),
        "path": option("REMEMBER_COOKIE_PATH"),
        "secure": option("REMEMBER_COOKIE_SECURE") or _interface().get_cookie_secure(current_app),
        "httponly": option("REMEMBER_COOKIE_HTTPONLY"),
        "samesite": option("REMEMBER_COOKIE_SAMESITE"),
        "partitioned": _interface().get_cookie_partitioned(current_app),
    }


def _name() -> str:
    """Return the cookie's name, with the `__Host-` or `__Secure-` prefix if the session cookie has it."""
    name, session_cookie = str(option("REMEMBER_COOKIE_NAME")), _interface().get_cookie_name(current_app)
    if name.startswith((_HOST_PREFIX, _SECURE_PREFIX)):
        return name
    if session_cookie.startswith(_SECURE_PREFIX):
        return _SECURE_PREFIX + name
    own_place = option("REMEMBER_COOKIE_DOMAIN") or option("REMEMBER_COOKIE_PATH") != "/"
    return name if own_place or not session_cookie.startswith(_HOST_PREFIX) else _HOST_PREFIX + name


def _interface() -> Any:
    return current_app.session_interface
