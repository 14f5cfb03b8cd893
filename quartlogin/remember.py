"""The only module that sets, reads and deletes the remember cookie."""

import time
from typing import Any, Final

from quart import current_app
from quart.typing import ResponseTypes

from . import session, tokens
from .config import option, remember_duration
from .connection import current_connection
from .extension import current_manager
from .flask_login import decode_cookie
from .state import UserState, state_of_request

_HOST_PREFIX: Final = "__Host-"


def read_cookie() -> str | None:
    """Return the text of the request's remember cookie, `None` if it has none or it counts no more."""
    cookie: str | None = current_connection().cookies.get(_name())
    return None if cookie is None or session.is_to_be_forgotten() else cookie


def read_token(cookie: str) -> tokens.Token | None:
    """Return what a remember cookie of ours says, `None` if there is anything wrong with it."""
    return tokens.load("remember", cookie)


def read_flask_login_id(cookie: str) -> str | None:
    """Return the user id in a remember cookie that Flask-Login has signed, `None` if it has not."""
    return decode_cookie(cookie)


def login_remembered() -> bool:
    """Tell whether this browser's login outlives its session."""
    state = state_of_request()
    if state is None:
        return False
    state.accessed = True
    cookie = read_cookie() if tokens.bearer_token() is None else None
    if cookie is None:
        return False
    return read_token(cookie) is not None or (
        current_manager().import_flask_login and read_flask_login_id(cookie) is not None
    )


def update_cookie(state: UserState, response: ResponseTypes) -> None:
    """Set or delete the cookie as this request, which has looked at the user, has asked for."""
    if state.bearer is not None and not state.signs_in:
        return  # cookies are not what this request is about
    wanted = session.take_remember_request()
    if wanted == "clear":
        response.delete_cookie(_name(), **_attributes())  # with the attributes that it was set with
    elif wanted == "set":
        _set_cookie(response, state.remember_secret, state.remember_until)
    elif option("REMEMBER_COOKIE_REFRESH_EACH_REQUEST"):
        _refresh_cookie(response)


def _refresh_cookie(response: ResponseTypes) -> None:
    """Let the time of this login begin anew, if it is one that is remembered."""
    cookie = read_cookie()
    token = None if cookie is None else read_token(cookie)
    if token is not None and token.login_id == session.login_id():
        _set_cookie(response, token.secret, None)


def _set_cookie(response: ResponseTypes, secret: str | None, expires_at: int | None) -> None:
    user_id, login_id = session.user_id(), session.login_id()
    if user_id is None or login_id is None:
        return
    seconds = session.remember_seconds()
    if expires_at is None:
        expires_at = int(time.time()) + (int(remember_duration().total_seconds()) if seconds is None else seconds)
    token = tokens.Token(user_id, login_id, expires_at, secret, seconds)
    response.set_cookie(_name(), tokens.dump("remember", token), expires=expires_at, **_attributes())


def _attributes() -> dict[str, Any]:
    return {
        "domain": option("REMEMBER_COOKIE_DOMAIN"),
        "path": option("REMEMBER_COOKIE_PATH"),
        "secure": option("REMEMBER_COOKIE_SECURE") or _interface().get_cookie_secure(current_app),
        "httponly": option("REMEMBER_COOKIE_HTTPONLY"),
        "samesite": option("REMEMBER_COOKIE_SAMESITE"),
    }


def _name() -> str:
    """Return the cookie's name, with `__Host-` in front where the session cookie has it."""
    name = str(option("REMEMBER_COOKIE_NAME"))
    session_has_it = _interface().get_cookie_name(current_app).startswith(_HOST_PREFIX)
    own_place = option("REMEMBER_COOKIE_DOMAIN") or option("REMEMBER_COOKIE_PATH") != "/"
    return name if own_place or not session_has_it or name.startswith(_HOST_PREFIX) else _HOST_PREFIX + name


def _interface() -> Any:
    return current_app.session_interface
