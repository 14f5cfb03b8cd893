"""A complete sign-in application on top of quartlogin: public names only."""

from ..accounts.hooks import Hooks
from .app import create_app
from .settings import Settings, SettingsError

__all__ = ["Hooks", "Settings", "SettingsError", "create_app"]
