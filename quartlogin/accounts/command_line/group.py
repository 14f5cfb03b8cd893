"""The group of all commands: the shared ones, and those of the features."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from ..feature import Feature
from ..features.shipped import default_features
from .context import APP_VARIABLE, EXPECTED, Sources

_APP: Final = "quartlogin.app"


class AccountsGroup(click.Group):
    """A group with the commands of the features: those of the app that the command line names, or all shipped ones.

    Args:
        sources: Called once for each command line.
        arguments: Those of `click.Group`.
    """

    def __init__(self, *arguments: Any, sources: Callable[[], Sources], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sources = sources

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for the name of the app: which commands there are depends on it."""
        ctx.obj = self._sources()
        ctx.meta[_APP] = app_named_in(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands; if the app cannot be loaded, only the shared ones."""
        try:
            own = _commands_of(_features(ctx))
        except EXPECTED as error:
            click.echo(f"Error: {error}", err=True)
            own = {}
        return sorted({*super().list_commands(ctx), *own})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by name; a shared one is found without loading an app."""
        if (shared := super().get_command(ctx, cmd_name)) is not None:
            return shared
        try:
            own = _commands_of(_features(ctx))
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None
        if cmd_name not in own and cmd_name in _commands_of(default_features()):
            raise click.UsageError(f"The app {ctx.meta[_APP]} has no feature with the command {cmd_name!r}.", ctx)
        return own.get(cmd_name)


def app_named_in(arguments: Sequence[str]) -> str | None:
    """Return the value of `--app` on a command line, or else that of `QUARTLOGIN_APP`."""
    before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for index, argument in enumerate(before_end):
        if argument.startswith("--app="):
            return argument.removeprefix("--app=")
        if argument == "--app" and index + 1 < len(before_end):
            return before_end[index + 1]
    return os.environ.get(APP_VARIABLE) or None


def _features(ctx: click.Context) -> Sequence[Feature]:
    app = ctx.meta[_APP]
    return default_features() if app is None else ctx.obj.features(app)


def _commands_of(features: Sequence[Feature]) -> dict[str, click.Command]:
    return {command.name or "": command for feature in features for command in feature.commands()}
