"""The commands that manage accounts, for a command line that provides `Sources`; features bring theirs."""

from .command_line.context import (
    EXPECTED,
    AccountsSource,
    CommandContext,
    Sources,
    accounts_command,
    app_option,
    context_of,
    database_option,
    json_option,
    open_context,
    run_with_context,
)
from .command_line.group import AccountsGroup
from .command_line.rename import rename
from .command_line.tables import accounts, init_db
from .command_line.templates import templates
from .command_line.users import user
from .features.registration.commands import import_users
from .users.directory import Directory
from .users.own import OwnDirectory

__all__ = [
    "EXPECTED",
    "AccountsGroup",
    "AccountsSource",
    "CommandContext",
    "Directory",
    "OwnDirectory",
    "Sources",
    "accounts",
    "accounts_command",
    "app_option",
    "context_of",
    "database_option",
    "init_db",
    "json_option",
    "open_context",
    "run_with_context",
    "templates",
    "user",
]

user.add_command(rename)
user.add_command(import_users)  # an operator can create accounts in an app without the feature, whose page is public
