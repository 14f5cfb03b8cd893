"""What the views may ask for: the parts that `create_app` joined."""

from dataclasses import dataclass
from typing import Final, cast

from quart import Quart, current_app

from quartlogin import LoginManager

from ..webapp.settings import Settings
from .audit.account_updates import AccountUpdates
from .database.models import User
from .features.logins.service import LoginStore
from .features.logins.user_loader import UserLoader
from .features.passwords.service import Accounts
from .store import Store

_EXTENSION_NAME: Final = "quartlogin.webapp"


@dataclass
class Services:
    """The parts of one application."""

    settings: Settings
    store: Store
    accounts: Accounts
    logins: LoginStore
    user_loader: UserLoader
    live: AccountUpdates
    login_manager: LoginManager[User]


def install(app: Quart, services: Services) -> None:
    """Keep the parts with the app."""
    app.extensions[_EXTENSION_NAME] = services


def services_of(app: Quart) -> Services:
    """Return the parts of this app."""
    return cast(Services, app.extensions[_EXTENSION_NAME])


def services() -> Services:
    """Return the parts of the app that serves this request."""
    return services_of(current_app)
