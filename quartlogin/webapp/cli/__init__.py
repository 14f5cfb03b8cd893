"""The command line: the commands, joined."""

import click

from quartlogin import __version__

from ...accounts.commands.users import user
from ...accounts.features.api_tokens.commands import token
from ...accounts.features.logins.commands import logins
from ...accounts.features.registration import commands  # noqa: F401 -- it adds itself to `user`
from .completion import completion
from .secret import secret
from .serve import init_db, serve


@click.group()
@click.version_option(__version__, prog_name="quartlogin")
def main() -> None:
    """Run and look after a quartlogin sign-in service.

    \b
    quartlogin serve                       start it at http://localhost:5000
    quartlogin user create alice           make an account
    quartlogin logins list alice           see where somebody is signed in

    Settings come from the environment, with QUARTLOGIN_ in front. An error is one sentence on standard error; the exit
    status is then 1, and 2 if the command line itself makes no sense.
    """


for command in (serve, init_db, user, logins, token, secret, completion):
    main.add_command(command)
