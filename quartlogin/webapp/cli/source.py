"""The accounts that the commands manage: those of the stand-alone application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quart import Quart

from quartlogin import LoginManager
from quartlogin.accounts import NO_KEY, POSTGRES_SCHEMES, AccountsOptions, key_file, read_or_create
from quartlogin.accounts.commands import CommandContext, open_context

from ..app import create_app, options_of
from ..settings import Settings, SettingsError, read_settings


class ApplicationSource:
    """An `AccountsSource` with settings from the environment."""

    def options(self, database: str | None) -> AccountsOptions:
        """Return the options from the settings."""
        return options_of(settings_with(database))

    @asynccontextmanager
    async def open(self, database: str | None) -> AsyncIterator[CommandContext]:
        """Open the database from the settings."""
        settings = settings_with(database)
        async with open_context(settings.database, options_of(settings), LoginManager()) as context:
            yield context

    def make_app(self, database: str | None) -> Quart:
        """Create the application with the secret key of the running service."""
        settings = settings_with(database)
        return create_app(DATABASE=settings.database, SECRET_KEY=_secret_key(settings))


def settings_with(database: str | None) -> Settings:
    """Read the settings from the environment; a `--database` option takes precedence."""
    return read_settings({} if database is None else {"DATABASE": database})


def _secret_key(settings: Settings) -> str:
    """Return the key that the service signs with.

    Raises:
        SettingsError: It is unknown here.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    path = key_file(settings.database)
    if settings.database.startswith(POSTGRES_SCHEMES) or not path.exists():
        raise SettingsError(NO_KEY)
    try:
        return read_or_create(path)[0][0]
    except OSError as error:
        raise SettingsError(f"Cannot use the secret key in {path}: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error
