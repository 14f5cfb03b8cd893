"""What quartlogin announces while it works. The sender is always the app."""

from typing import Any, cast

from blinker import NamedSignal, Namespace
from quart import current_app

from .callbacks import as_coroutine_function

_signals = Namespace()

#: A user was signed in; passed as `user`.
user_logged_in = _signals.signal("logged-in")
#: A user was signed out; passed as `user`.
user_logged_out = _signals.signal("logged-out")
#: A guard turned a visitor away.
user_unauthorized = _signals.signal("unauthorized")
#: The user of this request is known now, so receivers may use `current_user`.
user_accessed = _signals.signal("accessed")


async def send(signal: NamedSignal, **values: Any) -> None:
    """Send a signal to its receivers, `def` or `async def`, and wait for all of them."""
    if signal.receivers:
        app = cast(Any, current_app)._get_current_object()
        await signal.send_async(app, _sync_wrapper=as_coroutine_function, **values)
