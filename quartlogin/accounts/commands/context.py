"""How a command reaches the settings and the database, and tells what went wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Final, TypeVar

import click

from quartlogin import LoginManager

from ...webapp.settings import PREFIX, Settings, SettingsError, read_settings
from ..audit.log import AuditLog
from ..database.errors import DatabaseRefused, StoreUnavailable
from ..database.models import Credentials
from ..features.logins.service import LoginStore
from ..features.passwords.hashing import PasswordHashing
from ..store import Store, store_at
from ..usernames import normalize_username

T = TypeVar("T")

#: What goes wrong outside the program and is told in one sentence.
_TOLD: Final = (SettingsError, DatabaseRefused, StoreUnavailable)

database_option = click.option(
    "--database",
    metavar="FILE|URL",
    help=f"The database: a file or postgresql://... (else {PREFIX}DATABASE, or {Settings.database} in this folder)",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@dataclass(frozen=True)
class CommandContext:
    """What an operator works with: the parts of the application that need no server."""

    settings: Settings
    store: Store
    audit_log: AuditLog
    logins: LoginStore
    passwords: PasswordHashing

    async def find(self, name: str) -> Credentials:
        """Return the account of this name, also a disabled one.

        Raises:
            click.ClickException: There is none.
        """
        found = await self.store.users.find_credentials(normalize_username(name) or "")
        if found is None:
            raise click.ClickException(f"There is no account named {name!r}.")
        return found


def one_sentence(command: Callable[..., T]) -> Callable[..., T]:
    """Tell an expected error in one sentence on standard error and exit with 1."""

    @wraps(command)
    def telling(*args: Any, **kwargs: Any) -> T:
        try:
            return command(*args, **kwargs)
        except _TOLD as error:
            raise click.ClickException(str(error)) from None

    return telling


def settings_with(database: str | None) -> Settings:
    """Read the settings from the environment; the database that a command was given goes first."""
    return read_settings({} if database is None else {"DATABASE": database})


def run_with_context(settings: Settings, work: Callable[[CommandContext], Awaitable[T]]) -> T:
    """Open the database, do the work, and close it."""

    async def open_and_work() -> T:
        async with _desk(settings) as desk:
            return await work(desk)

    return asyncio.run(open_and_work())


@asynccontextmanager
async def _desk(settings: Settings) -> AsyncIterator[CommandContext]:
    store, passwords = store_at(settings.database), PasswordHashing()
    audit_log = AuditLog(store)
    logins = LoginStore(
        store,
        audit_log,
        LoginManager(),
        idle=timedelta(minutes=settings.login_idle_timeout),
        lifetime=timedelta(minutes=settings.login_lifetime),
        per_user=settings.max_logins_per_user,
    )
    await store.database.open()
    try:
        yield CommandContext(settings, store, audit_log, logins, passwords)
    finally:
        passwords.close()
        await store.database.close()
