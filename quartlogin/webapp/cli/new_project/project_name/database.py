"""The table of the notes, in the same SQLite file as the accounts."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

import aiosqlite

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL, -- current_user.id
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL -- seconds since 1970
);
CREATE INDEX IF NOT EXISTS notes_of_user ON notes (user_id, created_at);
"""


@dataclass(frozen=True)
class Note:
    """A note of a user."""

    id: str
    body: str
    created_at: int


class NoteStore:
    """Reads and writes notes. Each statement is committed by itself."""

    #: The most notes of a user: all are on one page.
    max_notes = 200

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, path: str) -> AsyncIterator[Self]:
        """Open the database, and create the table if it is missing."""
        async with aiosqlite.connect(path, isolation_level=None) as connection:
            await connection.executescript(_SCHEMA)
            yield cls(connection)

    async def of_user(self, user_id: str) -> list[Note]:
        """Return the notes of a user, the newest first."""
        rows = await self._connection.execute_fetchall(
            "SELECT id, body, created_at FROM notes WHERE user_id = ?"
            " ORDER BY created_at DESC, rowid DESC",
            (user_id,),
        )
        return [Note(*row) for row in rows]

    async def add(self, user_id: str, body: str) -> bool:
        """Add a note; tell whether the user had fewer than `max_notes`."""
        cursor = await self._connection.execute(
            "INSERT INTO notes (id, user_id, body, created_at) SELECT ?, ?, ?, ?"
            " WHERE (SELECT count(*) FROM notes WHERE user_id = ?) < ?",
            (uuid4().hex, user_id, body, int(time.time()), user_id, self.max_notes),
        )
        return cursor.rowcount > 0

    async def delete(self, user_id: str, note_id: str) -> bool:
        """Delete a note of this user; tell whether there was one."""
        cursor = await self._connection.execute(
            "DELETE FROM notes WHERE id = ? AND user_id = ?", (note_id, user_id)
        )
        return cursor.rowcount > 0

    async def delete_all(self, user_id: str) -> None:
        """Delete every note of a user."""
        await self._connection.execute(
            "DELETE FROM notes WHERE user_id = ?", (user_id,)
        )
