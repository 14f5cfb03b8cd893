"""A look into a database file from outside, past the application."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def run_sql(database: str | Path, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own; returns its rows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement).fetchall()
