"""The stand-alone sign-in application: public names only."""

from quartlogin.accounts import Hooks

from .app import create_app
from .settings import Settings, SettingsError

__all__ = ["Hooks", "Settings", "SettingsError", "create_app"]
