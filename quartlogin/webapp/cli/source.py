"""The accounts that the commands manage: those of an app, or those of the stand-alone application."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, Protocol

from quart import Quart

from quartlogin import LoginManager
from quartlogin.accounts import (
    APP_WITHOUT_KEY,
    AUDIT_LOGGER,
    NO_KEY,
    AccountsOptions,
    Feature,
    get_accounts,
    new_key,
    store_at,
)
from quartlogin.accounts.commands import (
    EXPECTED,
    AccountsSource,
    CommandContext,
    Directory,
    OwnDirectory,
    context_of,
    open_context,
)
from quartlogin.telemetry.processes import PROCESS_NUMBER

from ..app import create_app, options_of
from ..app_errors import AppError, closing_after_failure, describe, has_accounts, startup_errors
from ..middleware import MAX_MESSAGE_SIZE
from ..settings import PREFIX, SettingsError, read_settings
from .keys import is_file, stored_keys, stored_or_new_keys, use_keys
from .load_app import load_app


class Servable(AccountsSource, Protocol):
    """A source of accounts that can also be served."""

    @property
    def title(self) -> str:
        """What is served, for messages."""
        ...

    @property
    def max_message_size(self) -> int | None:
        """Bytes of a websocket message; `None`: the server's own limit."""
        ...

    def prepare(self, *, is_loopback: bool) -> Callable[[], Quart]:
        """Create what is missing: the tables and, on a loopback address, the secret key.

        Returns:
            A function that returns the app, in this process or another.

        Raises:
            ConfigurationError: The secret key is missing.
            DatabaseRefused: The database cannot be used.
        """
        ...

    def configured_keys(self) -> list[str]:
        """Return the secret keys that the environment sets, the current one first; none without them."""
        ...


class AppsAndApplication:
    """Chooses between an app of one's own and the stand-alone application; loads an app once."""

    def __init__(self) -> None:
        self._apps: dict[str, AppSource] = {}

    def choose(self, app: str | None, database: str | None) -> AccountsSource:
        """Return the source for the values of `--app` and `--database`."""
        return ApplicationSource(database) if app is None else self._load(app)

    def features(self, app: str) -> Sequence[Feature]:
        """Return the features of an app's accounts."""
        return self._load(app).features

    def _load(self, app: str) -> "AppSource":
        if app not in self._apps:
            self._apps[app] = AppSource(app)
        return self._apps[app]


class ApplicationSource:
    """The accounts of the stand-alone application, with settings from the environment.

    Args:
        database: Takes precedence over the setting.
    """

    max_message_size: Final = MAX_MESSAGE_SIZE

    def __init__(self, database: str | None) -> None:
        self._settings = read_settings({} if database is None else {"DATABASE": database})
        self._store = store_at(self._settings.database)

    @property
    def title(self) -> str:
        """The name of the site."""
        return self._settings.site_name

    @property
    def address(self) -> str:
        """The path or the address of the database."""
        return self._settings.database

    @property
    def options(self) -> AccountsOptions:
        """The options from the settings."""
        return options_of(self._settings)

    @property
    def directory(self) -> Directory:
        """The users of the application."""
        return OwnDirectory(self._store)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CommandContext]:
        """Open the database, without an app: it would need a secret key."""
        async with open_context(self.address, self.options, LoginManager()) as context:
            yield context

    async def create_tables(self) -> str:
        """Create the database."""
        await self._store.create_tables(self.directory.table, is_shared=False)
        return self._store.database.label

    @asynccontextmanager
    async def run_app(self) -> AsyncIterator[Quart]:
        """Run the application with the secret key of the running service."""
        key = self._settings.secret_key or stored_keys(self.address, NO_KEY)[0]
        app = create_app(DATABASE=self.address, SECRET_KEY=key)
        async with running(app, "quartlogin.webapp"):
            yield app

    def prepare(self, *, is_loopback: bool) -> Callable[[], Quart]:
        """Create what is missing; the processes read their settings from the environment."""
        settings = self._settings
        if settings.secret_key is None and not (is_loopback and is_file(self.address)):
            raise SettingsError(NO_KEY)
        asyncio.run(self.create_tables())
        os.environ[f"{PREFIX}DATABASE"] = self.address
        if settings.secret_key is None:
            key, *former = stored_or_new_keys(self.address, f"Set {PREFIX}SECRET_KEY to use another one.")
            os.environ[f"{PREFIX}SECRET_KEY"] = key
            os.environ[f"{PREFIX}SECRET_KEY_FALLBACKS"] = json.dumps([*former, *settings.secret_key_fallbacks])
        return create_app

    def configured_keys(self) -> list[str]:
        """Return the keys from the settings."""
        key = self._settings.secret_key
        return [] if key is None else [key, *self._settings.secret_key_fallbacks]


class AppSource:
    """The accounts of an app of one's own.

    Args:
        name: Such as `mymodule:app`.
        app: The app, if it is loaded already.

    Raises:
        ConfigurationError: The app cannot be loaded, or has no accounts.
    """

    max_message_size: Final = None

    def __init__(self, name: str, app: Quart | None = None) -> None:
        self.title = name
        self._app = load_app(name) if app is None else app
        self._accounts = get_accounts(self._app)

    @property
    def features(self) -> Sequence[Feature]:
        """The features of the app's accounts."""
        return self._accounts.plan.features

    @property
    def address(self) -> str:
        """The path or the address of the database of the app's accounts."""
        return self._accounts.plan.database

    @property
    def options(self) -> AccountsOptions:
        """The options of the app's accounts."""
        return self._accounts.options

    @property
    def directory(self) -> Directory:
        """The users of the app."""
        return self._accounts.directory

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CommandContext]:
        """Start the app; without a secret key it gets one for this command, which signs nothing."""
        if not self._app.secret_key:
            use_keys([new_key()], self._app)
        async with running(self._app, self.title):
            yield context_of(self._accounts)

    async def create_tables(self) -> str:
        """Create the tables in the database of the app's accounts."""
        store = self._accounts.store
        await store.create_tables(self.directory.table, is_shared=self._accounts.plan.shares_database)
        return store.database.label

    @asynccontextmanager
    async def run_app(self) -> AsyncIterator[Quart]:
        """Start the app with its secret key, or the one beside its database."""
        if not self._app.secret_key:
            use_keys(stored_keys(self.address, APP_WITHOUT_KEY), self._app)
        async with running(self._app, self.title):
            yield self._app

    def prepare(self, *, is_loopback: bool) -> Callable[[], Quart]:
        """Create a missing secret key; the app creates its tables when it starts."""
        if self._app.secret_key:
            return partial(load_app, self.title)
        if not (is_loopback and is_file(self.address)):
            raise SettingsError(APP_WITHOUT_KEY)
        keys = stored_or_new_keys(self.address, 'Set app.config["SECRET_KEY"] to use another one.')
        return partial(_load_with_keys, self.title, keys)

    def configured_keys(self) -> list[str]:
        """Return none: the keys of an app are not in the environment, or not by a name that is known here.

        Raises:
            AppError: The app has a key.
        """
        if self._app.secret_key:
            raise AppError(
                f"The app {self.title} sets its secret key: set another one there, and add the former one to "
                'app.config["SECRET_KEY_FALLBACKS"].'
            )
        return []


@asynccontextmanager
async def app_running(name: str) -> AsyncIterator[Quart]:
    """Start an app that --app names, with accounts or with a `LoginManager` alone, and stop it at the end of the block.

    Args:
        name: Such as `mymodule:app`.

    Raises:
        ConfigurationError: The app cannot be loaded or started, or has no secret key.
    """
    app = load_app(name)
    if has_accounts(app):
        async with AppSource(name, app).run_app():
            yield app
    else:
        async with running(app, name):
            yield app


def silence_audit_log() -> None:
    """Print no audit log where no logging is configured, in a command that tells what happened."""
    logging.getLogger(AUDIT_LOGGER).addHandler(logging.NullHandler())


def _load_with_keys(name: str, keys: tuple[str, ...]) -> Quart:
    return use_keys(keys, load_app(name))


@asynccontextmanager
async def running(app: Quart, name: str) -> AsyncIterator[None]:
    """Start an app, and stop it at the end of the block, which runs in the app's context.

    `Quart.test_app` would do the same, but within 5 seconds, and it replaces each error by another one.
    """
    manager: LoginManager[Any] | None = getattr(app, "login_manager", None)
    if manager is not None:
        manager.explain = False  # no browser can open a page of this process
    app.config[PROCESS_NUMBER] = None
    with startup_errors(app):
        async with closing_after_failure(app):
            with _in_one_sentence(f"The app {name} does not start"):
                await app.startup()
            try:
                async with app.app_context():
                    yield
            finally:
                with _in_one_sentence(f"The app {name} does not stop"):
                    await app.shutdown()


@contextmanager
def _in_one_sentence(failure: str) -> Iterator[None]:
    try:
        yield
    except EXPECTED:
        raise
    except Exception as error:
        raise AppError(f"{failure}: {describe(error)}") from error
