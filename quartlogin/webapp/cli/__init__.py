"""The command line."""

import click

from quartlogin import __version__
from quartlogin.accounts.commands import AccountsGroup, accounts, init_db, templates, user

from .completion import completion
from .explain import explain
from .flow import flow
from .new import new
from .secret import secret
from .serve import serve
from .source import AppsAndApplication


@click.group(cls=AccountsGroup, sources=AppsAndApplication)
@click.version_option(__version__, prog_name="quartlogin")
def main() -> None:
    """Run and manage a quartlogin sign-in service.

    \b
    quartlogin serve                       start it at http://localhost:5000
    quartlogin user create alice           create an account
    quartlogin logins list alice           list an account's sign-ins
    quartlogin new notes                   start a project of your own
    quartlogin serve --app mymodule:app    start an app of your own
    quartlogin flow                        sign in, and tell each step
    quartlogin explain URL                 explain why a request is not signed in

    Settings come from the environment, with the prefix QUARTLOGIN_; an app of your own has its own. An error is one
    sentence on standard error, with exit status 1, or 2 for an invalid command line.
    """


for command in (serve, new, explain, flow, init_db, accounts, user, templates, secret, completion):
    main.add_command(command)
