"""The commands that manage accounts."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import current_thread, main_thread

import click

from ..database.errors import NameTaken
from ..database.interface import Transaction
from ..features.passwords.policy import validate_password
from ..features.passwords.table import PasswordTable
from ..features.passwords.temporary import LIFETIME, temporary_password
from ..features.registration.new_account import create_account
from ..options import AccountsOptions
from ..users.directory import Directory
from ..users.protocol import FieldError
from .context import (
    AccountsSource,
    CommandContext,
    accounts_command,
    json_option,
    run_with_context,
)
from .fields import fields_option, read_fields
from .output import moment, print_rows

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
temporary_option = click.option(
    "--temporary",
    is_flag=True,
    help="Print a random password that is valid for one sign-in within a day and must then be changed.",
)


@click.group()
def user() -> None:
    """Create and manage accounts."""


@user.command("create")
@click.argument("name")
@password_option
@temporary_option
@fields_option
@accounts_command
def create(name: str, password_stdin: bool, temporary: bool, fields: tuple[str, ...], source: AccountsSource) -> None:
    """Create an account for NAME. The password is prompted for, never passed on the command line.

    \b
    quartlogin user create alice
    quartlogin user create alice --temporary
    quartlogin user create ada@example.org --field nickname=Ada --app mymodule:app
    pass show alice | quartlogin user create alice --password-stdin
    """
    check_name(source.directory, name)
    values = read_fields(source.options.registration_form, fields)
    chosen = _choose_password(source.options, name, from_stdin=password_stdin, temporary=temporary)

    async def restrict(transaction: Transaction, user_id: str) -> None:
        if chosen.temporary_until is not None:
            await PasswordTable.make_temporary(transaction, user_id, chosen.temporary_until)

    async def work(context: CommandContext) -> None:
        await create_account(context, name, await context.hashing.hash(chosen.password), values, restrict)

    try:
        run_with_context(source, work)
    except NameTaken:
        raise click.ClickException(f"There is already an account named {name!r}.") from None
    except FieldError as error:
        raise click.ClickException(f"The app refuses the field {error.field!r}: {error.text}") from None
    chosen.tell(f"The account {name!r} is ready.")


def check_name(directory: Directory, name: str) -> str:
    """Return the normalized form of a new name.

    Raises:
        click.ClickException: It is not valid.
    """
    key = directory.normalize(name)
    if key is None:
        rule = directory.name_rule or directory.validate(name) or ""
        raise click.ClickException(f"{name!r} is not a valid {directory.name_label.lower()}. {rule}")
    return key


@user.command("list")
@json_option
@accounts_command
def list_users(as_json: bool, source: AccountsSource) -> None:
    """List all accounts by name.

    \b
    quartlogin user list --json | jq -r '.[].username'
    """
    options = source.options

    async def work(context: CommandContext) -> None:
        now = int(time.time())
        users = await context.directory.list_all(now, now - int(options.login_idle_timeout.total_seconds()))
        rows = [
            {
                "username": row.username,
                "active": row.is_active,
                "created": moment(row.created_at),
                "last_seen": moment(row.seen_at),
                "sign_ins_and_tokens": row.logins,
            }
            for row in users
        ]
        print_rows(rows, as_json=as_json, empty="There are no accounts.")

    run_with_context(source, work)


@user.command("set-password")
@click.argument("name")
@password_option
@temporary_option
@accounts_command
def set_password(name: str, password_stdin: bool, temporary: bool, source: AccountsSource) -> None:
    """Set the password of NAME, and end every sign-in and API token. A user of your app without an account gets one.

    \b
    quartlogin user set-password alice --temporary
    quartlogin user set-password alice
    """

    async def work(context: CommandContext) -> _Chosen:
        found = await context.find_user(name)  # before the operator enters a password for an unknown name
        chosen = _choose_password(source.options, name, from_stdin=password_stdin, temporary=temporary)
        event = context.audit_log.event("password_set", found.account.user_id)
        password_hash = await context.hashing.hash(chosen.password)

        async def add_account(transaction: Transaction) -> None:
            await context.directory.add_account(transaction, found, event.happened_at)

        if not await context.store.passwords.set(
            found.account.user_id, password_hash, event, chosen.temporary_until, before=add_account
        ):
            raise _gone(name)
        context.audit_log.emit(event)
        return chosen

    chosen = run_with_context(source, work)
    chosen.tell(f"The password of {name!r} has been set, and the account is signed out everywhere.")


@user.command("require-change")
@click.argument("name")
@accounts_command
def require_change(name: str, source: AccountsSource) -> None:
    """Require NAME to change the password before anything else, from the next request on.

    If someone else may know the password, use `set-password NAME --temporary`, which ends every sign-in and token.

    \b
    quartlogin user require-change alice
    """

    async def work(context: CommandContext) -> None:
        found = await context.find(name)
        event = context.audit_log.event("password_change_required", found.account.user_id)
        if not await context.store.accounts.require_change(found.account.user_id, event):
            raise _gone(name)
        context.audit_log.emit(event)

    run_with_context(source, work)
    click.echo(f"The account {name!r} must change its password before anything else.")


@user.command("disable")
@click.argument("name")
@accounts_command
def disable(name: str, source: AccountsSource) -> None:
    """Disable NAME, and end every sign-in and API token.

    \b
    quartlogin user disable alice
    """
    _set_active(name, source, active=False)
    click.echo(f"The account {name!r} is disabled, and signed out everywhere.")


@user.command("enable")
@click.argument("name")
@accounts_command
def enable(name: str, source: AccountsSource) -> None:
    """Enable NAME again. Ended sign-ins and tokens stay ended.

    \b
    quartlogin user enable alice
    """
    _set_active(name, source, active=True)
    click.echo(f"The account {name!r} is enabled.")


def _set_active(name: str, source: AccountsSource, *, active: bool) -> None:
    async def work(context: CommandContext) -> None:
        found = await context.find(name)
        event = context.audit_log.event("user_enabled" if active else "user_disabled", found.account.user_id)
        if not await context.store.accounts.set_enabled(found.account.user_id, event, enabled=active):
            raise _gone(name)
        context.audit_log.emit(event)

    run_with_context(source, work)


def _gone(name: str) -> click.ClickException:
    return click.ClickException(f"The account {name!r} has just been deleted.")


@dataclass(frozen=True)
class _Chosen:
    """A password; for a temporary one, also its expiry: seconds since 1970."""

    password: str = field(repr=False)
    temporary_until: int | None = None

    def tell(self, sentence: str) -> None:
        """Report what was done; print a temporary password alone, so that a program can read it."""
        if self.temporary_until is None:
            click.echo(sentence)
            return
        until = moment(self.temporary_until)
        click.echo(f"{sentence} Until {until:%Y-%m-%d %H:%M} UTC, this password is valid for one sign-in:", err=True)
        click.echo(self.password)


def _choose_password(options: AccountsOptions, name: str, *, from_stdin: bool, temporary: bool) -> _Chosen:
    if temporary and from_stdin:
        raise click.UsageError("Pass --temporary or --password-stdin, not both.")
    if temporary:
        return _Chosen(temporary_password(options.password_min_length), int(time.time()) + LIFETIME)
    return _Chosen(_read_password(options, name, from_stdin=from_stdin))


def _read_password(options: AccountsOptions, name: str, *, from_stdin: bool) -> str:
    if from_stdin:
        try:
            password = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise click.ClickException("The password on standard input is not UTF-8.") from None
    else:
        with _interruptible():
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if fault := validate_password(password, options.password_min_length, (*options.context_words, name)):
        raise click.ClickException(f"This password cannot be used. {fault}")
    return str(password)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl+C end a prompt: asyncio would only cancel the task, which goes on waiting for the prompt."""
    if current_thread() is not main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
