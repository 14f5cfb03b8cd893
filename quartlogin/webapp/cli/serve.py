"""The commands that start the service and create its database."""

import asyncio
import errno
import json
import os
import socket
import sys
from ipaddress import ip_address

import click

from quartlogin.accounts import NO_KEY, POSTGRES_SCHEMES, key_file, read_or_create, store_at
from quartlogin.accounts.commands import database_option, errors_in_one_sentence

from ..server import config_for, run
from ..settings import PREFIX, Settings, SettingsError
from .source import settings_with


@click.command()
@click.option("--host", default="localhost", show_default=True, help="The address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="The number of processes.")
@database_option
@errors_in_one_sentence
def serve(host: str, port: int, workers: int, database: str | None) -> None:
    """Start the service. Creates a missing database and, on a loopback address, a missing secret key.

    \b
    quartlogin serve --port 8000
    QUARTLOGIN_SECRET_KEY=... quartlogin serve --host 0.0.0.0 --workers 2 --database postgresql://db/people
    """
    settings = settings_with(database)
    if settings.secret_key is None and not (_is_loopback(host) and _is_file(settings.database)):
        raise SettingsError(NO_KEY)
    asyncio.run(_open_and_close(settings))
    os.environ[f"{PREFIX}DATABASE"] = settings.database  # where the workers read their settings
    if settings.secret_key is None:
        key, *former = _stored_keys(settings.database)
        os.environ[f"{PREFIX}SECRET_KEY"] = key
        os.environ[f"{PREFIX}SECRET_KEY_FALLBACKS"] = json.dumps([*former, *settings.secret_key_fallbacks])
    addresses = _addresses(host)
    for address in addresses:
        _check_is_free(address, port)
    click.echo(f"Serving {settings.site_name} at http://{_for_url(host)}:{port} (press Ctrl+C to stop).")
    sys.exit(run(config_for([f"{_for_url(address)}:{port}" for address in addresses], workers)))


@click.command("init-db")
@database_option
@errors_in_one_sentence
def init_db(database: str | None) -> None:
    """Create the database, or upgrade an older one. `serve` does this too."""
    settings = settings_with(database)
    label = asyncio.run(_open_and_close(settings))
    click.echo(f"The database {settings.database if _is_file(settings.database) else label} is ready.")


async def _open_and_close(settings: Settings) -> str:
    database = store_at(settings.database).database
    await database.open()
    await database.close()
    return database.label


def _stored_keys(database: str) -> tuple[str, ...]:
    """Return the keys beside the database, the current one first; create the file if there is none."""
    path = key_file(database)
    try:
        keys, is_new = read_or_create(path)
    except OSError as error:
        raise SettingsError(f"Cannot use the secret key in {path}: {_lowered(error)}.") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if is_new:
        click.echo(f"Created a secret key in {path}. Set {PREFIX}SECRET_KEY to use another one.")
    else:
        click.echo(f"Using the secret key in {path}.")
    return keys


def _is_file(database: str) -> bool:
    return not database.startswith(POSTGRES_SCHEMES)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _addresses(host: str) -> list[str]:
    """Return the addresses to bind: both of localhost's, since browsers try either first."""
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
    """Return the system's message for an error, without Python's additions to `strerror`."""
    number = error.errno or 0
    return (os.strerror(number) if number in errno.errorcode else error.strerror or str(error)).lower()


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
