"""The context of a command: the accounts that it manages, and its errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Protocol, TypeVar, cast

import click
from quart import Quart

from quartlogin import ConfigurationError, LoginManager

from ..audit.log import AuditLog
from ..database.errors import DatabaseRefused, StoreUnavailable
from ..database.models import Credentials, User
from ..features.logins.service import LoginStore
from ..features.passwords.hashing import PasswordHashing
from ..options import AccountsOptions
from ..store import Store, store_at
from ..users.usernames import normalize_username

T = TypeVar("T")

#: Errors that are not bugs; each is one sentence for the operator.
_EXPECTED: Final = (ConfigurationError, DatabaseRefused, StoreUnavailable)

database_option = click.option(
    "--database",
    metavar="FILE|URL",
    help="The database: a file or postgresql://... "
    "(default: QUARTLOGIN_DATABASE, or quartlogin.sqlite3 in this folder)",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@dataclass(frozen=True)
class CommandContext:
    """The parts of the accounts that commands use; they need no server."""

    options: AccountsOptions
    store: Store
    audit_log: AuditLog
    logins: LoginStore
    hashing: PasswordHashing

    async def find(self, name: str) -> Credentials:
        """Return the account with this username, even if it is disabled.

        Raises:
            click.ClickException: There is none.
        """
        found = await self.store.users.find_credentials(normalize_username(name) or "")
        if found is None:
            raise click.ClickException(f"There is no account named {name!r}.")
        return found

    async def name_of(self, user_id: str) -> str:
        """Return the name of a user, for messages; the id if the user is gone."""
        user = await self.store.users.by_id(user_id)
        return user_id if user is None else user.username


class AccountsSource(Protocol):
    """The source of the accounts that commands manage: the `obj` of the click context.

    Each method takes the value of `--database`, `None` without that option.
    """

    def options(self, database: str | None) -> AccountsOptions:
        """Return the options."""
        ...

    def open(self, database: str | None) -> AbstractAsyncContextManager[CommandContext]:
        """Open the database; leaving the block closes it."""
        ...

    def make_app(self, database: str | None) -> Quart:
        """Create an app with the accounts and the secret key of the running service, to issue API tokens.

        Raises:
            ConfigurationError: The secret key is unknown here.
        """
        ...


@asynccontextmanager
async def open_context(
    database: str, options: AccountsOptions, login_manager: LoginManager[User]
) -> AsyncIterator[CommandContext]:
    """Open a database for commands; leaving the block closes it."""
    store, hashing = store_at(database), PasswordHashing()
    audit_log = AuditLog(store)
    logins = LoginStore(
        store,
        audit_log,
        login_manager,
        idle=options.login_idle_timeout,
        lifetime=options.login_lifetime,
        per_user=options.max_logins_per_user,
    )
    await store.database.open()
    try:
        yield CommandContext(options, store, audit_log, logins, hashing)
    finally:
        hashing.close()
        await store.database.close()


def accounts_source() -> AccountsSource:
    """Return the source of the running command's accounts."""
    return cast(AccountsSource, click.get_current_context().obj)


def run_with_context(database: str | None, work: Callable[[CommandContext], Awaitable[T]]) -> T:
    """Open the database, do the work, and close it."""
    source = accounts_source()

    async def open_and_work() -> T:
        async with source.open(database) as context:
            return await work(context)

    return asyncio.run(open_and_work())


def errors_in_one_sentence(command: Callable[..., T]) -> Callable[..., T]:
    """Report an expected error in one sentence on standard error, and exit with status 1."""

    @wraps(command)
    def reporting(*args: Any, **kwargs: Any) -> T:
        try:
            return command(*args, **kwargs)
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from None

    return reporting
