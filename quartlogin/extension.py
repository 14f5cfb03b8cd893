"""Where an app keeps its `LoginManager`, and how the running request finds it."""

from typing import TYPE_CHECKING, Any, Final

from quart import Quart

from .context import running_app
from .errors import ConfigurationError

if TYPE_CHECKING:
    from .manager import LoginManager

EXTENSION_NAME: Final = "quartlogin"


def install(app: Quart, manager: "LoginManager[Any]") -> None:
    """Make this the app's `LoginManager`.

    Raises:
        ConfigurationError: The app has one already.
    """
    if EXTENSION_NAME in app.extensions:
        raise ConfigurationError(
            f"The app {app.name!r} has a LoginManager already: call init_app once, with one manager."
        )
    app.extensions[EXTENSION_NAME] = manager
    app.login_manager = manager  # type: ignore[attr-defined]  # Flask-Login's name for it


def current_manager() -> "LoginManager[Any]":
    """Return the `LoginManager` of the app that serves this request.

    Raises:
        ConfigurationError: The app has none.
    """
    return manager_of(running_app())


def manager_of(app: Quart) -> "LoginManager[Any]":
    """Return the `LoginManager` of this app.

    Raises:
        ConfigurationError: The app has none.
    """
    try:
        manager: LoginManager[Any] = app.extensions[EXTENSION_NAME]
    except KeyError:
        raise ConfigurationError(
            f"The app {app.name!r} has no LoginManager: write LoginManager(app), "
            "or login_manager.init_app(app) in the function that makes the app."
        ) from None
    return manager
