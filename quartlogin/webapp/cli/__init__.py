"""The command line: the commands, joined."""

import click

from quartlogin import __version__

from . import imports  # noqa: F401 -- it adds itself to `user`
from .completion import completion
from .logins import logins
from .secret import secret
from .serve import init_db, serve
from .tokens import token
from .users import user


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
