"""What an app may ask about the login of the running request."""

from .request_state import state_of_asker, state_of_request
from .sessions import login_session


def login_id() -> str | None:
    """Return the id of the login that this request belongs to, `None` for an anonymous visitor.

    It is new at every login and unguessable (192 bits), so an app that keeps its logins in a database can look
    it up in its `user_loader` and refuse the ones that have ended. A bearer token has a login id of its own.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.login_id


def login_secret_hash() -> str | None:
    """Return which remember cookie of its login this session came with: the SHA-256 of its secret, in hex.

    An app whose `LoginRecords` renew secrets can refuse the sessions of former ones in its `user_loader`: then only one
    of two browsers with copies of one cookie goes on. A websocket that a remember cookie has opened came with that
    cookie, each time that its user is looked up again. `None` where there is nothing to compare: without a remember
    cookie, with a bearer token, and while a remember cookie itself is looked at.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.secret_hash


def login_fresh() -> bool:
    """Tell whether the password was typed in this session, rather than the login restored from a remember cookie."""
    state = state_of_asker()
    if state is None:
        return False
    state.access()
    if state.fresh is not None:
        return state.fresh
    return state.uses_cookies and login_session.is_fresh()


def uses_cookies() -> bool:
    """Tell whether this request's cookies may say who sent it, so that its forms need protection against CSRF.

    They do not beside a bearer token that `create_bearer_token` has made, nor beside any other that an API client
    sends: no page of another site can have a browser send those. A gateway may add a token to whatever it passes on, so
    beside a token that is not ours a browser's cookies count.
    """
    state = state_of_request()
    return state is not None and state.uses_cookies
