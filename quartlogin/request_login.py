"""Information about the current request's login."""

from .request_state import state_of_asker, state_of_request
from .sessions import login_session


def login_id() -> str | None:
    """Return the id of the login that this request belongs to, `None` for an anonymous visitor.

    It is new at every login and unguessable (192 bits), so an app that stores its logins in a database can look it up
    in its `user_loader` and reject those that have ended. A bearer token has its own login id.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.login_id


def login_secret_hash() -> str | None:
    """Return the SHA-256 of the secret of the remember cookie that this session came with, in hex.

    An app whose `LoginRecords` renew secrets can reject the sessions of former ones in its `user_loader`: then only one
    of two browsers with copies of one cookie continues. A websocket that a remember cookie has opened keeps that cookie
    each time its user is looked up again. `None` if there is nothing to compare: without a remember cookie, with a
    bearer token, and while a remember cookie itself is checked.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.secret_hash


def login_fresh() -> bool:
    """Tell whether the password was entered in this session, rather than the login restored from a remember cookie."""
    state = state_of_asker()
    if state is None:
        return False
    state.access()
    if state.fresh is not None:
        return state.fresh
    return state.uses_cookies and login_session.is_fresh()


def uses_cookies() -> bool:
    """Tell whether this request's cookies may identify its sender, so that its forms need CSRF protection.

    They do not beside a bearer token from `create_bearer_token`, nor beside any other that an API client sends: no page
    of another site can make a browser send those. A gateway may add a token to every request, so beside a token that is
    not ours a browser's cookies are checked.
    """
    state = state_of_request()
    return state is not None and state.uses_cookies
