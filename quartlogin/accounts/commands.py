"""The commands that manage accounts, for a command line that provides an `AccountsSource`."""

from .command_line.context import (
    AccountsSource,
    CommandContext,
    database_option,
    errors_in_one_sentence,
    open_context,
)
from .command_line.users import user
from .features.api_tokens.commands import token
from .features.logins.commands import logins
from .features.registration.commands import import_users

__all__ = [
    "AccountsSource",
    "CommandContext",
    "database_option",
    "errors_in_one_sentence",
    "logins",
    "open_context",
    "token",
    "user",
]

user.add_command(import_users)
