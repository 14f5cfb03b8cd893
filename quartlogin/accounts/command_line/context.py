"""The context of a command: the accounts that it manages, and its errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Protocol, TypeVar, cast

import click
from quart import Quart
from werkzeug.exceptions import HTTPException

from quartlogin import ConfigurationError, LoginManager

from ..accounts import Accounts
from ..audit.log import AuditLog
from ..database.errors import DatabaseRefused, StoreUnavailable
from ..database.models import Credentials, User
from ..feature import Feature
from ..features.logins.service import LoginStore
from ..features.logins.user_loader import APPLICATION
from ..features.passwords.hashing import PasswordHashing
from ..features.shipped import known_events
from ..options import AccountsOptions
from ..store import Store, store_at
from ..users.directory import Directory
from ..users.own import OwnDirectory

T = TypeVar("T")

#: Errors that are not bugs; each is one sentence for the operator.
EXPECTED: Final = (ConfigurationError, DatabaseRefused, StoreUnavailable, HTTPException)

#: The environment variable of `--app`.
APP_VARIABLE: Final = "QUARTLOGIN_APP"

app_option = click.option(
    "--app",
    metavar="MODULE:APP",
    envvar=APP_VARIABLE,
    help="An app of your own, such as mymodule:app or mymodule:create_app() "
    "(default: QUARTLOGIN_APP, or the stand-alone application)",
)
database_option = click.option(
    "--database",
    metavar="FILE|URL",
    help="The database of the stand-alone application: a file or postgresql://... "
    "(default: QUARTLOGIN_DATABASE, or quartlogin.sqlite3 in this folder)",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@dataclass(frozen=True)
class CommandContext:
    """The parts of the accounts that commands use; they need no server."""

    options: AccountsOptions
    store: Store
    directory: Directory
    audit_log: AuditLog
    logins: LoginStore
    hashing: PasswordHashing

    async def find(self, name: str) -> Credentials:
        """Return the account with this name, even if it is disabled.

        Raises:
            click.ClickException: There is none, or its registration is not complete.
        """
        found = await self.find_user(name)
        if not found.has_account:
            raise click.ClickException(
                f"The user {name!r} has no account yet: `quartlogin user set-password NAME --temporary` adds one."
            )
        return found

    async def find_user(self, name: str) -> Credentials:
        """Return the user with this name, even one of the app's who has no account.

        Raises:
            click.ClickException: There is none, or the registration is not complete.
        """
        found = await self.directory.find_user(self.directory.normalize(name) or "")
        if found is None:
            raise click.ClickException(f"There is no account named {name!r}.")
        if found.completes is not None:
            raise click.ClickException(
                f"The registration of {name!r} was interrupted. Try again in an hour: then it is completed."
            )
        return found

    async def name_of(self, user_id: str) -> str:
        """Return the name of a user, for messages; the id if the user is gone."""
        user = await self.directory.by_id(user_id)
        return user_id if user is None else self.directory.name_of(user)


class AccountsSource(Protocol):
    """The source of the accounts that commands manage: an app, or a database."""

    @property
    def address(self) -> str:
        """The path or the address of the database."""
        ...

    @property
    def options(self) -> AccountsOptions:
        """The options."""
        ...

    @property
    def directory(self) -> Directory:
        """The directory; it answers questions about names, and any other only while the accounts are open."""
        ...

    def open(self) -> AbstractAsyncContextManager[CommandContext]:
        """Open the accounts; leaving the block closes them."""
        ...

    async def create_tables(self) -> str:
        """Create the tables, or upgrade older ones, without starting an app; return the database's name for messages.

        Raises:
            DatabaseRefused: The database cannot be used.
        """
        ...

    def run_app(self) -> AbstractAsyncContextManager[Quart]:
        """Start an app with the accounts and the secret key of the running service; leaving the block stops it.

        Raises:
            ConfigurationError: The secret key is unknown here.
        """
        ...


class Sources(Protocol):
    """The `obj` of the click context: chooses the source of a command line."""

    def choose(self, app: str | None, database: str | None) -> AccountsSource:
        """Return the source for the values of `--app` and `--database`, of which one is `None`."""
        ...

    def features(self, app: str) -> Sequence[Feature]:
        """Return the features of an app's accounts.

        Raises:
            ConfigurationError: The app cannot be loaded, or has no accounts.
        """
        ...


@asynccontextmanager
async def open_context(
    database: str, options: AccountsOptions, login_manager: LoginManager[User]
) -> AsyncIterator[CommandContext]:
    """Open a database without an app; leaving the block closes it."""
    store, hashing = store_at(database), PasswordHashing()
    audit_log = AuditLog(store.events, known_events())
    logins = LoginStore(
        store,
        audit_log,
        login_manager,
        audience=APPLICATION,
        idle=options.login_idle_timeout,
        lifetime=options.login_lifetime,
        per_user=options.max_logins_per_user,
    )
    await store.database.open()
    try:
        yield CommandContext(options, store, OwnDirectory(store), audit_log, logins, hashing)
    finally:
        hashing.close()
        await store.database.close()


def context_of(accounts: Accounts) -> CommandContext:
    """Return the context of commands on the accounts of a running app."""
    return CommandContext(
        accounts.options,
        accounts.store,
        accounts.directory,
        accounts.audit_log,
        accounts.logins,
        accounts.passwords.hashing,
    )


def run_with_context(source: AccountsSource, work: Callable[[CommandContext], Awaitable[T]]) -> T:
    """Open the accounts, do the work, and close them."""

    async def open_and_work() -> T:
        async with source.open() as context:
            return await work(context)

    return asyncio.run(open_and_work())


def accounts_command(command: Callable[..., T]) -> Callable[..., T]:
    """Add `--app` and `--database` to a command, which gets the source of the accounts as `source`.

    An expected error is one sentence on standard error, with exit status 1.
    """

    @app_option
    @database_option
    @wraps(command)
    def run(*args: Any, app: str | None, database: str | None, **kwargs: Any) -> T:
        if app is not None and database is not None:
            raise click.UsageError(
                "Pass --app (or QUARTLOGIN_APP) or --database, not both: an app has its own database."
            )
        try:
            return command(*args, source=_choose(app, database), **kwargs)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None

    return run


def _choose(app: str | None, database: str | None) -> AccountsSource:
    sources = cast(Sources, click.get_current_context().obj)
    return sources.choose(app, database)
