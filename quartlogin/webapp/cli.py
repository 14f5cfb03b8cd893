"""The command line: `quartlogin serve`, `init-db`, `user create`."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any, Final, TypeVar

import click
from hypercorn.config import Config

from quartlogin import __version__

from . import keys
from .passwords import LONGEST_PASSWORD, length
from .serving import run
from .settings import PREFIX, Settings, SettingsError, read_settings
from .store import DatabaseRefused, StoreUnavailable, UsernameTaken, store_at
from .usernames import RULE, name_key

T = TypeVar("T")

#: What goes wrong outside the program and is told in one sentence.
_TOLD: Final = (SettingsError, DatabaseRefused, StoreUnavailable)

database_option = click.option(
    "--database",
    metavar="FILE",
    help=f"The database. Otherwise {PREFIX}DATABASE, or {Settings.database} in this folder.",
)


def one_sentence(command: Callable[..., T]) -> Callable[..., T]:
    """Tell an expected error in one sentence on standard error and exit with 1."""

    @wraps(command)
    def telling(*args: Any, **kwargs: Any) -> T:
        try:
            return command(*args, **kwargs)
        except _TOLD as error:
            raise click.ClickException(str(error)) from None

    return telling


@click.group()
@click.version_option(__version__, prog_name="quartlogin")
def main() -> None:
    """Run and look after a quartlogin sign-in service.

    \b
    quartlogin serve                       start it at http://localhost:5000
    quartlogin user create alice           make an account
    """


@main.command()
@click.option("--host", default="localhost", show_default=True, help="The address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@database_option
@one_sentence
def serve(host: str, port: int, workers: int, database: str | None) -> None:
    """Start the service, and create what is missing: the database and, on a loopback address, a secret key."""
    settings = _settings(database)
    if settings.secret_key is None and not _is_loopback(host):
        raise SettingsError(keys.NO_KEY)
    asyncio.run(_open_and_close(settings))
    os.environ[f"{PREFIX}DATABASE"] = settings.database  # the workers read their settings there
    os.environ[f"{PREFIX}SECRET_KEY"] = settings.secret_key or _kept_key(settings.database)
    config = Config()
    addresses = _addresses(host)
    config.bind = [f"{_for_url(address)}:{port}" for address in addresses]
    config.workers = workers
    config.include_server_header = False
    config.loglevel = "WARNING"
    for address in addresses:
        _check_is_free(address, port)
    click.echo(f"Serving {settings.site_name} at http://{_for_url(host)}:{port} (Ctrl+C stops it).")
    sys.exit(run(config))


@main.command("init-db")
@database_option
@one_sentence
def init_db(database: str | None) -> None:
    """Create the database. `serve` does it too."""
    settings = _settings(database)
    asyncio.run(_open_and_close(settings))
    click.echo(f"The database {settings.database} is ready.")


@main.group()
def user() -> None:
    """Make and look after accounts."""


@user.command("create")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@database_option
@one_sentence
def create_user(name: str, password_stdin: bool, database: str | None) -> None:
    """Make an account for NAME. The password is asked for, never given on the command line.

    \b
    quartlogin user create alice
    pass show alice | quartlogin user create alice --password-stdin
    """
    settings = _settings(database)
    if name_key(name) is None:
        raise click.ClickException(f"{name!r} is not a username. {RULE}")
    password = _read_password(settings, from_stdin=password_stdin)

    try:
        asyncio.run(_register(settings, name, password))
    except UsernameTaken:
        raise click.ClickException(f"There is an account named {name!r} already.") from None
    click.echo(f"The account {name!r} is ready.")


def _settings(database: str | None) -> Settings:
    return read_settings({} if database is None else {"DATABASE": database})


def _kept_key(database: str) -> str:
    """Return the secret key that is kept beside the database, making it first if need be."""
    path = keys.key_file(database)
    try:
        key, is_new = keys.read_or_make(path)
    except OSError as error:
        raise SettingsError(f"The secret key in {path} cannot be used: {_lowered(error)}.") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if is_new:
        click.echo(f"Made a secret key; it is kept in {path}. Set {PREFIX}SECRET_KEY to bring your own.")
    else:
        click.echo(f"Using the secret key that is kept in {path}.")
    return key


async def _open_and_close(settings: Settings) -> None:
    store = store_at(settings.database)
    await store.database.open()
    await store.database.close()


async def _register(settings: Settings, name: str, password: str) -> None:
    raise NotImplementedError


def _read_password(settings: Settings, *, from_stdin: bool) -> str:
    if from_stdin:
        try:
            password = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise click.ClickException("The password on standard input is not UTF-8.") from None
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not settings.password_min_length <= length(password) <= LONGEST_PASSWORD:
        raise click.ClickException(
            f"The password has to have {settings.password_min_length} to {LONGEST_PASSWORD} characters, "
            f"and has {length(password)}."
        )
    return str(password)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _addresses(host: str) -> list[str]:
    """Return what to bind: for localhost both of its addresses, since browsers try either first."""
    if host != "localhost":
        return [host.strip("[]")]
    return ["127.0.0.1", *(["::1"] if _has_ipv6_loopback() else [])]


def _has_ipv6_loopback() -> bool:
    try:
        _listen("::1", 0)
    except OSError:
        return False
    return True


def _check_is_free(address: str, port: int) -> None:
    try:
        _listen(address, port)
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {_for_url(address)}:{port}: {_lowered(error)}.") from None


def _listen(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.create_server((address, port), family=family).close()


def _lowered(error: OSError) -> str:
    """Return the system's words for an error; Python adds its own to `strerror` here and there."""
    number = error.errno or 0
    return (os.strerror(number) if number in errno.errorcode else error.strerror or str(error)).lower()


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
