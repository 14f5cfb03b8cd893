"""The command that imports accounts from a file."""

import sys
import time
from typing import Any, Final

import click

from ...command_line.context import (
    AccountsSource,
    CommandContext,
    accounts_command,
    run_with_context,
)
from ...command_line.output import printable
from ...database.errors import NamesTaken
from ...options import AccountsOptions
from ...users.directory import OwnDirectory
from .csv_import import BadLine, ImportedUser, ImportRefused, read_users

_SHOWN_BAD_LINES: Final = 20


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--skip-bad", is_flag=True, help="Import the valid lines, and report the others.")
@accounts_command
def import_users(file: str, skip_bad: bool, source: AccountsSource) -> None:
    """Import accounts from FILE: CSV in UTF-8 with the columns username and password, or username and password_hash.

    Hashes are argon2's, as in $argon2id$v=19$m=65536,t=3,p=1$...$... Any invalid line is reported with its number, and
    nothing is imported without --skip-bad. Either all accounts are created or, if anything stops it, none.

    \b
    quartlogin user import people.csv
    """
    if not isinstance(source.directory, OwnDirectory):
        raise click.ClickException("The users of this app are in the app's own table: import them there.")
    users, bad = _read(file, source.options)
    if bad and not skip_bad:
        raise _refusal(bad)

    async def work(context: CommandContext) -> list[str]:
        await _hash_passwords(context, users)
        with _progress(len(users), "Storing", show_eta=False) as bar:
            return await context.store.users.add_many(
                lambda: (user.new_user() for user in users), int(time.time()), bar.update, skip_taken=skip_bad
            )

    lines = {user.key: user.line for user in users}
    try:
        taken = run_with_context(source, work)
    except NamesTaken as error:
        raise _refusal([_taken_line(lines, key) for key in error.keys]) from None
    _report([*bad, *(_taken_line(lines, key) for key in taken)])
    click.echo(f"Imported {len(users) - len(taken)} accounts, skipped {len(bad) + len(taken)} lines.")


def _read(file: str, options: AccountsOptions) -> tuple[list[ImportedUser], list[BadLine]]:
    users: list[ImportedUser] = []
    bad: list[BadLine] = []
    try:
        for entry in read_users(file, options.password_min_length, options.context_words):
            if isinstance(entry, ImportedUser):
                users.append(entry)
            else:
                bad.append(entry)
    except (ImportRefused, OSError) as error:
        raise click.ClickException(f"Cannot import {file}: {error}") from None
    return users, bad


async def _hash_passwords(context: CommandContext, users: list[ImportedUser]) -> None:
    """Hash clear-text passwords before the database is used: it takes a tenth of a second each."""
    clear = [user for user in users if user.password is not None]
    with _progress(len(clear), "Hashing") as bar:
        for user in clear:
            user.password_hash = await context.hashing.hash(user.password or "")
            user.password = None
            bar.update(1)


def _progress(length: int, label: str, *, show_eta: bool = True) -> Any:
    is_hidden = not length or not sys.stderr.isatty()
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=is_hidden, show_eta=show_eta)


def _taken_line(lines: dict[str, int], key: str) -> BadLine:
    return BadLine(lines[key], "there is already an account with this name")


def _refusal(bad: list[BadLine]) -> click.ClickException:
    _report(bad)
    count = "1 line is invalid" if len(bad) == 1 else f"{len(bad)} lines are invalid"
    return click.ClickException(f"{count}, so nothing was imported. --skip-bad imports the others.")


def _report(bad: list[BadLine]) -> None:
    for line in sorted(bad, key=lambda line: line.number)[:_SHOWN_BAD_LINES]:
        click.echo(f"line {line.number}: {printable(line.reason)}", err=True)
    if len(bad) > _SHOWN_BAD_LINES:
        click.echo(f"... and {len(bad) - _SHOWN_BAD_LINES} more", err=True)
