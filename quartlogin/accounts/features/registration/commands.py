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
from ...users.own import OwnDirectory
from .app_import import TAKEN, ImportStopped, import_one_by_one, list_taken
from .csv_import import BadLine, ImportedUser, ImportRefused, ImportRules, read_users

_SHOWN_BAD_LINES: Final = 20


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--skip-bad", is_flag=True, help="Import the valid lines, and report the others.")
@accounts_command
def import_users(file: str, skip_bad: bool, source: AccountsSource) -> None:
    """Import accounts from FILE: CSV in UTF-8 with the columns username and password, or username and password_hash.

    Hashes are argon2's, as in $argon2id$v=19$m=65536,t=3,p=1$...$..., or of Werkzeug, Django or bcrypt. Optional
    columns are disabled and must_change_password, true or false, and the fields of your app's registration form.

    Any invalid line is reported with its number, and nothing is imported without --skip-bad. Either all accounts are
    created or, if anything stops it, none; users of your app are created one after another, and those before stay.

    \b
    quartlogin user import people.csv
    """
    users, bad = _read(file, source)
    if bad and not skip_bad:
        raise _refusal(bad)
    into = _import_own if isinstance(source.directory, OwnDirectory) else _import_into_app

    async def work(context: CommandContext) -> list[BadLine]:
        return await into(context, users, skip_bad)

    skipped = run_with_context(source, work)
    _report([*bad, *skipped])
    click.echo(f"Imported {len(users) - len(skipped)} accounts, skipped {len(bad) + len(skipped)} lines.")


async def _import_own(context: CommandContext, users: list[ImportedUser], skip_bad: bool) -> list[BadLine]:
    """Import users into the accounts' own table in one transaction; return the lines that were skipped."""
    await _hash_passwords(context, users)
    lines = {user.key: user.line for user in users}
    try:
        with _progress(len(users), "Storing", show_eta=False) as bar:
            taken = await context.store.users.add_many(
                lambda: (user.new_user() for user in users), int(time.time()), bar.update, skip_taken=skip_bad
            )
    except NamesTaken as error:
        raise _refusal([BadLine(lines[key], TAKEN) for key in error.keys]) from None
    return [BadLine(lines[key], TAKEN) for key in taken]


async def _import_into_app(context: CommandContext, users: list[ImportedUser], skip_bad: bool) -> list[BadLine]:
    """Import users into the app's table; return the lines that were skipped."""
    with _progress(len(users), "Checking") as bar:
        taken = await list_taken(context, users, bar.update)
    if taken and not skip_bad:
        raise _refusal(taken)
    taken_lines = {line.number for line in taken}
    new = [user for user in users if user.line not in taken_lines]
    await _hash_passwords(context, new)
    try:
        with _progress(len(new), "Storing") as bar:
            return [*taken, *await import_one_by_one(context, new, bar.update, skip_bad=skip_bad)]
    except ImportStopped as stop:
        raise click.ClickException(
            f"Imported {stop.imported} accounts, which stay, and stopped at line {stop.line.number}. Correct it, and "
            f"import the file again with --skip-bad. The reason: {printable(stop.line.reason)}"
        ) from None


def _read(file: str, source: AccountsSource) -> tuple[list[ImportedUser], list[BadLine]]:
    options, directory = source.options, source.directory
    rules = ImportRules(
        options.password_min_length,
        options.context_words,
        directory.normalize,
        directory.name_label.lower(),
        options.registration_form if directory.takes_fields else None,
    )
    users: list[ImportedUser] = []
    bad: list[BadLine] = []
    try:
        for entry in read_users(file, rules):
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


def _refusal(bad: list[BadLine]) -> click.ClickException:
    _report(bad)
    count = "1 line is invalid" if len(bad) == 1 else f"{len(bad)} lines are invalid"
    return click.ClickException(f"{count}, so nothing was imported. --skip-bad imports the others.")


def _report(bad: list[BadLine]) -> None:
    for line in sorted(bad, key=lambda line: line.number)[:_SHOWN_BAD_LINES]:
        click.echo(f"line {line.number}: {printable(line.reason)}", err=True)
    if len(bad) > _SHOWN_BAD_LINES:
        click.echo(f"... and {len(bad) - _SHOWN_BAD_LINES} more", err=True)
