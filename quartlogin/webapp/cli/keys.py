"""The secret key beside a database file, for an app that has none."""

import errno
import os
from collections.abc import Sequence

import click
from quart import Quart

from quartlogin.accounts import POSTGRES_SCHEMES, key_file, read_or_create

from ..settings import SettingsError


def stored_keys(database: str, without: str) -> tuple[str, ...]:
    """Return the keys beside a database, the current one first.

    Args:
        database: The address of the database.
        without: The message without a key.

    Raises:
        SettingsError: There is none, or it cannot be used.
    """
    if not is_file(database) or not key_file(database).exists():
        raise SettingsError(without)
    return _read_or_create(database)[0]


def stored_or_new_keys(database: str, advice: str) -> tuple[str, ...]:
    """Return the keys beside a database file, the current one first; create a key if there is none, and say so.

    Args:
        database: The path of the file.
        advice: How to use another key, in one sentence.

    Raises:
        SettingsError: The file of the key cannot be used.
    """
    keys, is_new = _read_or_create(database)
    path = key_file(database)
    click.echo(f"Created a secret key in {path}. {advice}" if is_new else f"Using the secret key in {path}.")
    return keys


def is_file(database: str) -> bool:
    """Tell whether the address of a database is the path of a file."""
    return not database.startswith(POSTGRES_SCHEMES)


def _read_or_create(database: str) -> tuple[tuple[str, ...], bool]:
    path = key_file(database)
    try:
        return read_or_create(path)
    except OSError as error:
        raise SettingsError(f"Cannot use the secret key in {path}: {system_message(error)}.") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error


def use_keys(keys: Sequence[str], app: Quart) -> Quart:
    """Give keys to an app, the current one first."""
    app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"] = keys
    return app


def system_message(error: OSError) -> str:
    """Return the system's message for an error, without Python's additions to `strerror`."""
    number = error.errno or 0
    return (os.strerror(number) if number in errno.errorcode else error.strerror or str(error)).lower()
