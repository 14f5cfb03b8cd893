"""The table of events: one method for each question, with its SQL."""

from dataclasses import dataclass

from .database import Database, Transaction
from .rows import Event

_INSERT = (
    "INSERT INTO events (id, kind, user_id, happened_at, address, browser, subject) VALUES ($1, $2, $3, $4, $5, $6, $7)"
)


@dataclass(frozen=True)
class Events:
    """What happened to the accounts of one database, newest first.

    Every method raises `StoreUnavailable` when the database does not answer.
    """

    database: Database

    async def add(self, event: Event) -> None:
        """Keep an event that goes with no other change."""
        await self.database.write(_INSERT, *_values(event))

    @staticmethod
    async def insert(transaction: Transaction, event: Event) -> None:
        """Keep an event together with the change that it tells of."""
        await transaction.run(_INSERT, *_values(event))

    async def list_of(self, user_id: str, at_most: int) -> list[Event]:
        """List the last events of a user."""
        rows = await self.database.read(
            "SELECT id, kind, user_id, happened_at, address, browser, subject FROM events"
            " WHERE user_id = $1 ORDER BY happened_at DESC, id DESC LIMIT $2",
            *(user_id, at_most),
        )
        return [Event(*row) for row in rows]

    async def list_since(self, happened_at: int, at_most: int) -> list[Event]:
        """List the events of all users since then, oldest first.

        Args:
            happened_at: Seconds since 1970; this second included.
            at_most: How many to return.
        """
        rows = await self.database.read(
            "SELECT id, kind, user_id, happened_at, address, browser, subject FROM events"
            " WHERE happened_at >= $1 AND user_id IS NOT NULL ORDER BY happened_at, id LIMIT $2",
            *(happened_at, at_most),
        )
        return [Event(*row) for row in rows]

    async def remove_before(self, happened_at: int, at_most: int) -> int:
        """Remove some events that are older; returns how many."""
        rows = await self.database.write(
            "DELETE FROM events WHERE id IN"
            " (SELECT id FROM events WHERE happened_at < $1 ORDER BY happened_at LIMIT $2) RETURNING id",
            *(happened_at, at_most),
        )
        return len(rows)


def _values(event: Event) -> tuple[object, ...]:
    return (
        *(event.id, event.kind, event.user_id, event.happened_at),
        *(event.address, event.browser, event.subject),
    )
