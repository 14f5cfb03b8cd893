"""Bulk insert of users: all or none, for any number, in little memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from ..database.errors import NamesTaken
from ..database.interface import Database, Transaction
from ..database.models import NewUser

_BATCH: Final = 1000  # rows that one statement inserts
_LARGE_BATCH: Final = 50_000  # rows that one statement compares: it may have to read all users once
#: Each inserts a batch of rows; the later ones only for the users that the first one has inserted.
_INSERTS: Final = (
    "INSERT INTO quartlogin_users (id, username, username_key, created_at)"
    " SELECT n.id, n.username, n.username_key, CAST($1 AS BIGINT) FROM newcomers n"
    " WHERE n.number >= $2 AND n.number < $3 ON CONFLICT (username_key) DO NOTHING",
    "INSERT INTO quartlogin_accounts (user_id, created_at, disabled_at, must_change_password)"
    " SELECT n.id, CAST($1 AS BIGINT), CASE WHEN n.disabled THEN CAST($1 AS BIGINT) END, n.must_change"
    " FROM newcomers n JOIN quartlogin_users u ON u.id = n.id"
    " WHERE n.number >= $2 AND n.number < $3",
    "INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at)"
    " SELECT n.id, n.password_hash, CAST($1 AS BIGINT) FROM newcomers n JOIN quartlogin_users u ON u.id = n.id"
    " WHERE n.number >= $2 AND n.number < $3",
)


async def bulk_insert(
    database: Database,
    new_users: Callable[[], Iterable[NewUser]],
    now: int,
    on_progress: Callable[[int], None],
    *,
    skip_taken: bool,
) -> list[str]:
    """Add users by way of a temporary table; for arguments and result see `OwnUsers.add_many`."""

    async def work(transaction: Transaction) -> list[str]:
        await transaction.run(
            "CREATE TEMPORARY TABLE newcomers"
            " (number BIGINT PRIMARY KEY, id TEXT, username TEXT, username_key TEXT, password_hash TEXT,"
            " disabled BOOLEAN, must_change BOOLEAN)"
        )
        count = 0
        for batch in _batches(new_users()):
            newcomers = [(number, *_values_of(new)) for number, new in enumerate(batch, count)]
            await transaction.run_many("INSERT INTO newcomers VALUES ($1, $2, $3, $4, $5, $6, $7)", newcomers)
            count += len(newcomers)
        for first in range(0, count, _BATCH):
            for statement in _INSERTS:
                await transaction.run(statement, now, first, first + _BATCH)
            on_progress(min(_BATCH, count - first))
        taken: list[str] = []
        for first in range(0, count, _LARGE_BATCH):
            rows = await transaction.run(
                "SELECT n.username_key FROM newcomers n JOIN quartlogin_users u ON u.username_key = n.username_key"
                " WHERE n.number >= $1 AND n.number < $2 AND u.id <> n.id ORDER BY n.number",
                *(first, first + _LARGE_BATCH),
            )
            taken += [row[0] for row in rows]
        if taken and not skip_taken:
            raise NamesTaken(taken)
        await transaction.run("DROP TABLE newcomers")
        return taken

    return await database.transaction(work)


def _values_of(new: NewUser) -> tuple[object, ...]:
    flags = (new.is_disabled, new.must_change_password)
    return (new.user.id, new.user.username, new.username_key, new.password_hash, *flags)


def _batches(new_users: Iterable[NewUser]) -> Iterator[list[NewUser]]:
    rest = iter(new_users)
    while batch := list(islice(rest, _BATCH)):
        yield batch
