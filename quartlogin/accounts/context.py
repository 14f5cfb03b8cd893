"""The accounts of the current app."""

from typing import TYPE_CHECKING, Final, cast

from quart import Quart, current_app

if TYPE_CHECKING:
    from .accounts import Accounts

#: Where an app keeps its `Accounts`.
EXTENSION_NAME: Final = "quartlogin.accounts"


def get_accounts(app: Quart) -> "Accounts":
    """Return the accounts of this app."""
    return cast("Accounts", app.extensions[EXTENSION_NAME])


def current_accounts() -> "Accounts":
    """Return the accounts of the app that handles the current request."""
    return get_accounts(current_app)
