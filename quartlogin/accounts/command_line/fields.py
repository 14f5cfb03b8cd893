"""The app's own fields of a new user, given on the command line."""

from collections.abc import Sequence
from typing import Any

import click
from wtforms import Form

from ..features.registration.forms import fill_in
from ..users.protocol import FieldError

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
    values = [_split(each) for each in given]
    known = [] if form is None else [field.name for field in form()]
    if unknown := [name for name, _ in values if name not in known]:
        raise click.ClickException(f"The app has no field {unknown[0]!r}. Its fields: {', '.join(known) or 'none'}.")
    try:
        return fill_in(form, values)
    except FieldError as error:
        raise click.ClickException(
            f"The app refuses the field {error.field!r}: {error.text} Pass --field {error.field}=VALUE."
        ) from None


def _split(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise click.UsageError(f"--field {given!r:.80} has no value: write it as NAME=VALUE.")
    return name, value
