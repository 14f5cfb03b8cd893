"""Errors in an app of one's own, in one sentence."""

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from logging import LogRecord
from pathlib import Path
from typing import Any, Final

from quart import Quart
from quart.signals import got_serving_exception

from quartlogin import ConfigurationError
from quartlogin.accounts import get_accounts
from quartlogin.accounts.commands import EXPECTED

_MAX_SHOWN: Final = 200  # characters of an error's text


class AppError(ConfigurationError):
    """The app cannot be loaded, started or stopped; the message is one sentence for its developer."""


def describe(error: BaseException, *, is_in_request: bool = False) -> str:
    """Describe an error in an app's code in part of a sentence, with the line that raised it.

    Args:
        error: The error.
        is_in_request: Whether a request raised it. Then its text is left out, which may repeat a password.
    """
    if isinstance(error, EXPECTED):
        return str(error)
    text = "" if is_in_request else (str(error).splitlines() or [""])[0][:_MAX_SHOWN]
    file, line = _place_of(error)
    return f"{type(error).__name__}{': ' if text else ''}{text} ({file}, line {line})."


@contextmanager
def startup_errors(app: Quart) -> Iterator[list[Exception]]:
    """Collect the errors with which an app starts or stops. Quart logs them, except those that are a sentence."""
    errors: list[Exception] = []

    def collect(_: Any, exception: Exception, **__: Any) -> None:
        errors.append(exception)

    def is_unexpected(record: LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, EXPECTED) and error in errors)

    got_serving_exception.connect(collect, app)
    app.logger.addFilter(is_unexpected)
    try:
        yield errors
    finally:
        app.logger.removeFilter(is_unexpected)
        got_serving_exception.disconnect(collect, app)


@asynccontextmanager
async def closing_after_failure(app: Quart) -> AsyncIterator[None]:
    """Close the accounts' database if an app fails to start or to stop: its threads would keep this process alive."""
    try:
        yield
    except BaseException:
        if has_accounts(app):
            await get_accounts(app).store.database.close()
        raise


def has_accounts(app: Quart) -> bool:
    """Tell whether an app has accounts, not only a `LoginManager`."""
    try:
        get_accounts(app)
    except ConfigurationError:
        return False
    return True


def _place_of(error: BaseException) -> tuple[str, int | None]:
    """Return the file and the line that raised an error: the last ones in the current folder, if any are."""
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename).name, error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    last = (own or frames)[-1]
    return Path(last.filename).name, last.lineno
