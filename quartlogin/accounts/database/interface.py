"""The interface of a database driver. Statements refer to their values as $1, $2 and so on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")
Row = Sequence[Any]

#: Work that is being finished for callers that may be gone; an unreferenced task could be garbage collected.
_unfinished: Final[set[asyncio.Task[Any]]] = set()


class Transaction(Protocol):
    """An open transaction: all of its statements take effect, or none."""

    async def run(self, statement: str, *values: Any) -> list[Row]:
        """Run a statement and return its rows."""
        ...

    async def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""
        ...


class Database(Protocol):
    """A SQLite or PostgreSQL database.

    Every method raises `StoreUnavailable` when the database does not respond, and `Conflict` when a statement would
    violate a constraint.
    """

    @property
    def label(self) -> str:
        """The database's name for messages, without a password."""
        ...

    @property
    def reads_at_once(self) -> int:
        """The number of reads that run concurrently, at least; more of one kind are better batched."""
        ...

    async def open(self, *, create_tables: bool = True, is_shared: bool = False) -> None:
        """Connect, and upgrade the tables to this version of the code.

        Args:
            create_tables: Whether to create or upgrade the tables; otherwise they must be there.
            is_shared: Whether the database may contain the tables of an app.

        Raises:
            DatabaseRefused: The database cannot be used.
        """

    async def close(self) -> None:
        """Close every connection. Closing twice is harmless."""

    async def read(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement that changes nothing, in one round trip."""
        ...

    async def write(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement as its own transaction, and return its rows."""
        ...

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run statements in one transaction; an error undoes them all.

        They run to the end even if the caller is cancelled, as when a browser disconnects.
        """
        ...


async def shield(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work that runs to its end even if the caller is cancelled."""
    task = asyncio.get_running_loop().create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


def _forget(task: "asyncio.Task[Any]") -> None:
    _unfinished.discard(task)
    if not task.cancelled():
        task.exception()  # which its caller has seen, unless it is gone
