"""What a database driver does for the tables: it runs statements, whose values stand in them as $1, $2 and so on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")
Row = Sequence[Any]

#: The work that is being finished for callers who may have gone: a task that nobody holds could vanish.
_unfinished: Final[set[asyncio.Task[Any]]] = set()


class Transaction(Protocol):
    """A transaction that is open: all of its statements count, or none."""

    async def run(self, statement: str, *values: Any) -> list[Row]:
        """Run a statement; returns its rows."""
        ...

    async def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once with each row's values."""
        ...


class Database(Protocol):
    """A database of either kind.

    Every method raises `StoreUnavailable` when the database does not answer, and `Conflict` when a statement would
    break a rule of the tables.
    """

    @property
    def label(self) -> str:
        """Its name for people, without any password."""
        ...

    @property
    def reads_at_once(self) -> int:
        """How many statements that read it works on at a time, at the least: more of a kind had better be one."""
        ...

    async def open(self) -> None:
        """Connect, and bring the tables to the version of this code.

        Raises:
            DatabaseRefused: It cannot be used.
        """

    async def close(self) -> None:
        """Close every connection. Closing twice does no harm."""

    async def read(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement that changes nothing: one trip to the database."""
        ...

    async def write(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement, which is its own transaction; returns its rows."""
        ...

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run statements that belong together; an error undoes them all.

        They are finished also when the caller is cancelled, as when a browser hangs up.
        """
        ...


async def shield(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work that goes on to its end, whatever becomes of the one who waits."""
    task = asyncio.get_running_loop().create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


def _forget(task: "asyncio.Task[Any]") -> None:
    _unfinished.discard(task)
    if not task.cancelled():
        task.exception()  # which its caller has seen, unless it has gone
