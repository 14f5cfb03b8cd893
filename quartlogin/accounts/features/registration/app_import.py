"""Importing users into an app's own table: one after another, since the app commits each by itself."""

import time
from collections.abc import Callable, Sequence
from secrets import token_urlsafe

from ...command_line.context import EXPECTED, CommandContext
from ...database.errors import NameTaken
from ...database.interface import Transaction
from ...table import AccountTable
from ...users.protocol import FieldError
from ..passwords.table import PasswordTable
from .csv_import import BadLine, ImportedUser

TAKEN = "there is already an account with this name"


class ImportStopped(Exception):  # noqa: N818 -- the message is for the operator
    """A line could not be imported; those before it are.

    Args:
        line: The line, and why.
        imported: The number of users that are imported.
    """

    def __init__(self, line: BadLine, imported: int) -> None:
        super().__init__(line.reason)
        self.line = line
        self.imported = imported


async def list_taken(
    context: CommandContext, users: Sequence[ImportedUser], on_progress: Callable[[int], None]
) -> list[BadLine]:
    """List the lines whose names are taken.

    Args:
        context: The accounts.
        users: The lines.
        on_progress: Called with the number of lines that were checked.
    """
    taken: list[BadLine] = []
    for user in users:
        if await context.directory.is_taken(user.key):
            taken.append(BadLine(user.line, TAKEN))
        on_progress(1)
    return taken


async def import_one_by_one(
    context: CommandContext,
    users: Sequence[ImportedUser],
    on_progress: Callable[[int], None],
    *,
    skip_bad: bool,
) -> list[BadLine]:
    """Create users with accounts, each as a registration does: whole, or not at all.

    Args:
        context: The accounts.
        users: The lines, with hashes.
        on_progress: Called with the number of lines that were imported or skipped.
        skip_bad: Skip users whom the app refuses.

    Returns:
        The lines that were skipped.

    Raises:
        ImportStopped: The app refused a user and `skip_bad` is false, or it failed.
    """
    skipped: list[BadLine] = []
    for number, user in enumerate(users):
        try:
            reason = await _create(context, user)
        except EXPECTED as error:
            raise ImportStopped(BadLine(user.line, str(error)), number - len(skipped)) from error
        if reason and not skip_bad:
            raise ImportStopped(BadLine(user.line, reason), number)
        if reason:
            skipped.append(BadLine(user.line, reason))
        on_progress(1)
    return skipped


async def _create(context: CommandContext, user: ImportedUser) -> str:
    """Create a user with an account; return why the app refuses it, empty if it does not."""
    is_restricted = user.is_disabled or user.must_change_password
    # What is noted lets the user in if the process ends before the account is restricted: then nothing must.
    noted = f"!{token_urlsafe()}" if is_restricted else user.password_hash
    try:
        new = await context.directory.create(user.username, user.key, noted, user.fields)
    except NameTaken:
        return TAKEN
    except FieldError as error:
        return f"the app refuses the field {error.field!r}: {error.text}"
    now = int(time.time())
    disabled_at = now if user.is_disabled else None

    async def add(transaction: Transaction) -> None:
        await new.add(transaction, now)
        if is_restricted:
            await AccountTable.restrict(transaction, new.user_id, disabled_at, must_change=user.must_change_password)
            await PasswordTable.replace(transaction, new.user_id, user.password_hash)

    await context.store.database.transaction(add)
    return ""
