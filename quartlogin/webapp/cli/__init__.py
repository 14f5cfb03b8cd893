"""The command line: the commands, joined."""

import click

from quartlogin import __version__
from quartlogin.accounts.commands import logins, token, user

from .completion import completion
from .secret import secret
from .serve import init_db, serve
from .source import ApplicationSource


@click.group()
@click.pass_context
@click.version_option(__version__, prog_name="quartlogin")
def main(context: click.Context) -> None:
    """Run and look after a quartlogin sign-in service.

    \b
    quartlogin serve                       start it at http://localhost:5000
    quartlogin user create alice           make an account
    quartlogin logins list alice           see where somebody is signed in

    Settings come from the environment, with QUARTLOGIN_ in front. An error is one sentence on standard error; the exit
    status is then 1, and 2 if the command line itself makes no sense.
    """
    context.obj = ApplicationSource()


for command in (serve, init_db, user, logins, token, secret, completion):
    main.add_command(command)
