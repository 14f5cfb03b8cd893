"""The commands that manage accounts, for a command line that provides an `AccountsSource`."""

from .command_line.context import (
    EXPECTED,
    AccountsSource,
    CommandContext,
    accounts_command,
    context_of,
    open_context,
)
from .command_line.rename import rename
from .command_line.tables import accounts, init_db
from .command_line.templates import templates
from .command_line.users import user
from .features.api_tokens.commands import token
from .features.logins.commands import logins
from .features.registration.commands import import_users
from .users.directory import Directory, OwnDirectory

__all__ = [
    "EXPECTED",
    "AccountsSource",
    "CommandContext",
    "Directory",
    "OwnDirectory",
    "accounts",
    "accounts_command",
    "context_of",
    "init_db",
    "logins",
    "open_context",
    "templates",
    "token",
    "user",
]

user.add_command(rename)
user.add_command(import_users)
