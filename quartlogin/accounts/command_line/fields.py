"""The app's own fields of a new user, given on the command line."""

from collections.abc import Sequence
from typing import Any

import click
from werkzeug.datastructures import MultiDict
from wtforms import Form

fields_option = click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the app's own registration form; repeat it for each.",
)


def read_fields(form: type[Form] | None, given: Sequence[str]) -> dict[str, Any]:
    """Return the values of the app's own fields, as its form reads them.

    Args:
        form: The app's own form; `None` without one.
        given: Such as `nickname=Ada`.

    Raises:
        click.ClickException: The form has no such field, or refuses a value.
    """
    values = MultiDict(_split(each) for each in given)
    filled = (form or Form)(values)
    if unknown := [name for name in values if name not in filled]:
        known = ", ".join(field.name for field in filled) or "none"
        raise click.ClickException(f"The app has no field {unknown[0]!r}. Its fields: {known}.")
    if not filled.validate():
        name, texts = next(iter(filled.errors.items()))
        raise click.ClickException(
            f"The app refuses the field {name!r}: {next(iter(texts))} Pass --field {name}=VALUE."
        )
    return dict(filled.data)


def _split(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise click.UsageError(f"--field {given!r:.80} has no value: write it as NAME=VALUE.")
    return name, value
