"""What the views may ask for: the parts that `create_app` joined."""

from dataclasses import dataclass
from typing import Final, cast

from quart import Quart, current_app

from quartlogin import LoginManager

from .accounts import Accounts
from .live import LivePages
from .logins import StoredLogins
from .settings import Settings
from .store import Store, User
from .user_loader import UserLoader

_EXTENSION_NAME: Final = "quartlogin.webapp"


@dataclass
class Services:
    """The parts of one application."""

    settings: Settings
    store: Store
    accounts: Accounts
    logins: StoredLogins
    user_loader: UserLoader
    live: LivePages
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
