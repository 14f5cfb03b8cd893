"""Signals of quartlogin. The sender is always the app."""

from typing import Any

from blinker import NamedSignal, Namespace

from .callbacks import as_coroutine_function
from .context import running_app

_signals = Namespace()

#: A user was signed in; passed as `user`.
user_logged_in = _signals.signal("logged-in")
#: A user was signed out; passed as `user`.
user_logged_out = _signals.signal("logged-out")
#: A remember cookie restored a login; the user is passed as `user`.
user_loaded_from_cookie = _signals.signal("loaded-from-cookie")
#: The `request_loader` found the user; passed as `user`.
user_loaded_from_request = _signals.signal("loaded-from-request")
#: The password was entered again, and the login is fresh.
user_login_confirmed = _signals.signal("login-confirmed")
#: A guard sent a user to the page that asks for the password.
user_needs_refresh = _signals.signal("needs-refresh")
#: A session came from another browser than it began in: it is no longer fresh, or has ended.
session_protected = _signals.signal("session-protected")
#: A guard rejected a visitor.
user_unauthorized = _signals.signal("unauthorized")
#: A remember cookie or bearer token was rejected; `kind` is "remember" (broken or expired) or "bearer" (for any
#: reason).
credentials_refused = _signals.signal("credentials-refused")
#: The user of this request is known, so receivers may use `current_user`.
user_accessed = _signals.signal("accessed")


async def send(signal: NamedSignal, **values: Any) -> None:
    """Send a signal to its receivers, `def` or `async def`, and wait for all of them."""
    if signal.receivers:
        await signal.send_async(running_app(), _sync_wrapper=as_coroutine_function, **values)
