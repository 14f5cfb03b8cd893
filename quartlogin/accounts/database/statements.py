"""The steps of the database: each statement, with its placeholders and never its values, and each failure."""

from collections.abc import Awaitable
from time import perf_counter
from typing import Any

from quartlogin import tracing


async def tell_statement(system: str, statement: str, work: Awaitable[Any]) -> Any:
    """Await a statement and tell its text, how long it took, and the number of rows; `if tracing.listeners`.

    Args:
        system: "sqlite" or "postgresql".
        statement: Its text, with placeholders.
        work: What runs it; it returns rows, or something else if it has none.

    Raises:
        Exception: Whatever the driver raised; the step has the name of its class.
    """
    started = perf_counter()
    try:
        found = await work
    except Exception as error:
        name = type(error).__name__
        tracing.tell("statement", perf_counter() - started, system=system, sql=statement, rows=None, error=name)
        raise
    has_rows = statement.startswith("SELECT") or " RETURNING " in statement
    rows = len(found) if has_rows and isinstance(found, list) else None
    tracing.tell("statement", perf_counter() - started, system=system, sql=statement, rows=rows)
    return found


def tell_error(system: str, error: BaseException) -> None:
    """Tell that the database failed; its message may contain values, so only its class is named."""
    tracing.tell("database_error", system=system, error=type(error).__name__)
