"""Command output: a table for people, or JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from prettytable import PrettyTable, TableStyle


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows, whose keys are the column names.

    Args:
        rows: Each with the same keys. A `datetime` is printed in UTC, `None` as nothing.
        as_json: Print a JSON list of objects instead of a table.
        empty: The sentence to print instead of an empty table.
    """
    if as_json:
        click.echo(json.dumps(rows, default=_iso, indent=2))
    elif not rows:
        click.echo(empty, err=True)
    else:
        table = PrettyTable([name.upper().replace("_", " ") for name in rows[0]], align="l")
        table.set_style(TableStyle.PLAIN_COLUMNS)
        table.add_rows([[_shown(value) for value in row.values()] for row in rows])
        click.echo("\n".join(line.rstrip() for line in table.get_string().splitlines()))


def moment(seconds: int | None) -> datetime | None:
    """Return a time in seconds since 1970 as a `datetime`; `None` for 0 and `None`."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def printable(text: str) -> str:
    """Replace characters that could control a terminal: clients choose their user agents."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else printable(str(value))


def _iso(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
