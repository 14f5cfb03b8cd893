"""The events table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..database.interface import Database, Transaction
from ..database.locking import lock_for
from ..database.models import ActingLogin, Event

_INSERT = (
    "INSERT INTO quartlogin_events (id, kind, user_id, happened_at, address, browser, subject)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_DELETE = "DELETE FROM quartlogin_events WHERE id = $1"

#: About how many users one statement can query.
MAX_USERS: Final = 50
#: How many events of each kind an account keeps: the most recent ones. A frequent kind displaces no other.
MAX_EVENTS: Final = 100

#: Each part reads only as many index rows as it returns: a window function would read all events since then.
_SINCE: Final = " UNION ALL ".join(
    "SELECT * FROM (SELECT id, kind, user_id, happened_at, address, browser, subject FROM quartlogin_events"  # noqa: S608 -- numbers only
    f" WHERE user_id = ${number + 3} AND happened_at >= $1 ORDER BY happened_at DESC, id DESC LIMIT $2) AS part"
    for number in range(MAX_USERS)
)
_LIST_SINCE: Final = f"{_SINCE} ORDER BY happened_at, id"


@dataclass(frozen=True)
class Events:
    """The events of one database, newest first.

    Every method raises `StoreUnavailable` when the database does not respond.
    """

    database: Database

    async def add(self, event: Event) -> None:
        """Store an event that accompanies no other change."""
        await self.database.write(_INSERT, *_values(event))

    async def add_by(self, by: ActingLogin, event: Event) -> None:
        """Store an event on behalf of a login, if that is active, whatever is proved in it: it changes nothing else.

        Raises:
            LoginEnded: It is not.
        """

        async def work(transaction: Transaction) -> None:
            await lock_for(transaction, by.user_id, replace(by, requirements=()))
            await self.insert(transaction, event)

        await self.database.transaction(work)

    @staticmethod
    async def insert(transaction: Transaction, event: Event) -> None:
        """Store an event together with the change that it records."""
        await transaction.run(_INSERT, *_values(event))

    async def list_of(self, user_id: str, at_most: int) -> list[Event]:
        """List the most recent events of a user."""
        rows = await self.database.read(
            "SELECT id, kind, user_id, happened_at, address, browser, subject FROM quartlogin_events"
            " WHERE user_id = $1 ORDER BY happened_at DESC, id DESC LIMIT $2",
            *(user_id, at_most),
        )
        return [Event(*row) for row in rows]

    async def failures_since_last_sign_in(self, user_id: str) -> tuple[int, int | None]:
        """Count the failed sign-ins since the last successful one, up to `MAX_EVENTS`.

        Returns:
            The count, and when the last successful sign-in was: seconds since 1970, `None` if there was none.
        """
        rows = await self.database.read(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM quartlogin_events WHERE user_id = $1"
            " AND kind = 'sign_in_failed'"
            " AND id > coalesce((SELECT max(id) FROM quartlogin_events WHERE user_id = $1 AND kind = 'signed_in'), '')"
            " ORDER BY id DESC LIMIT $2) AS failed),"
            " (SELECT happened_at FROM quartlogin_events WHERE user_id = $1 AND kind = 'signed_in'"
            " ORDER BY id DESC LIMIT 1)",
            *(user_id, MAX_EVENTS),
        )
        return int(rows[0][0]), rows[0][1]

    async def list_since(self, happened_at: int, user_ids: Sequence[str], at_most: int) -> list[Event]:
        """List the most recent events of several users since a time, oldest first.

        Args:
            happened_at: Seconds since 1970, inclusive.
            user_ids: At most `MAX_USERS`.
            at_most: How many events of each user: one account's events must not hide another's.
        """
        padded = (*user_ids, *[""] * (MAX_USERS - len(user_ids)))  # one statement, prepared once
        rows = await self.database.read(_LIST_SINCE, happened_at, at_most, *padded)
        return [Event(*row) for row in rows]

    async def remove_excess(self, user_id: str, kind: str, at_most: int) -> int:
        """Remove some of a user's events of one kind, older than the newest `MAX_EVENTS`; return how many."""
        rows = await self.database.read(
            "SELECT id FROM quartlogin_events WHERE user_id = $1 AND kind = $2 ORDER BY id DESC LIMIT $3 OFFSET $4",
            *(user_id, kind, at_most, MAX_EVENTS),
        )
        if rows:
            ids = [(row[0],) for row in rows]
            await self.database.transaction(lambda transaction: transaction.run_many(_DELETE, ids))
        return len(rows)

    async def remove_before(self, happened_at: int, at_most: int) -> int:
        """Remove some older events; return how many."""
        rows = await self.database.write(
            "DELETE FROM quartlogin_events WHERE id IN"
            " (SELECT id FROM quartlogin_events WHERE happened_at < $1 ORDER BY happened_at LIMIT $2) RETURNING id",
            *(happened_at, at_most),
        )
        return len(rows)


def _values(event: Event) -> tuple[object, ...]:
    return (
        *(event.id, event.kind, event.user_id, event.happened_at),
        *(event.address, event.browser, event.subject),
    )
