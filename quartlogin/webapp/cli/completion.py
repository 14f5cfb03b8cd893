"""The command for shell completion."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_QUARTLOGIN_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    eval "$(quartlogin completion bash)"                                   in ~/.bashrc
    quartlogin completion fish > ~/.config/fish/completions/quartlogin.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 -- the choices are click's own
    click.echo(kind(context.find_root().command, {}, "quartlogin", _VARIABLE).source())
