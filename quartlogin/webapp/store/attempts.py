"""The table of attempts: how often a password was tried, for whom and from where."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .database import Database, Transaction
from .rows import Tally

#: What becomes of a tally; it may refuse by raising, and then nothing is counted.
Change = Callable[[Tally], Tally]


@dataclass(frozen=True)
class Attempts:
    """What was tried, in one database. Every method raises `StoreUnavailable` when the database does not answer.

    A tally is named by a text such as `user:` and an id; what it counts, the caller knows.
    """

    database: Database

    async def change(self, changes: Mapping[str, Change]) -> None:
        """Change some tallies together, one request at a time: two at once cannot both be the last that is allowed.

        Args:
            changes: What to do with each tally. What one of them raises, this raises, and nothing is changed.
        """

        async def work(transaction: Transaction) -> None:
            for name, change in sorted(changes.items(), key=lambda item: item[0]):  # or two could wait for each other
                old = await _lock(transaction, name)
                await _write(transaction, name, change(old))

        await self.database.transaction(work)

    async def forget(self, name: str) -> None:
        """Begin a tally anew."""
        await self.database.write("DELETE FROM attempts WHERE name = $1", name)

    @staticmethod
    async def forget_user(transaction: Transaction, user_id: str) -> None:
        """Begin a user's tally anew: the password is another one."""
        await transaction.run("DELETE FROM attempts WHERE name = $1", name_of_user(user_id))

    async def remove_before(self, short_lived: int, others: int, at_most: int) -> int:
        """Remove some tallies to which nothing was added since, but for those of users; returns how many.

        Args:
            short_lived: Seconds since 1970, for those of addresses.
            others: Seconds since 1970, for the rest.
            at_most: How many.
        """
        rows = await self.database.write(
            "DELETE FROM attempts WHERE name IN (SELECT name FROM attempts WHERE last_at < $1"
            " AND (last_at < $2 OR name LIKE 'address:%') AND name NOT LIKE 'user:%' ORDER BY last_at LIMIT $3)"
            " RETURNING name",
            *(short_lived, others, at_most),
        )
        return len(rows)


def name_of_user(user_id: str) -> str:
    """Return what a user's tally is called."""
    return f"user:{user_id}"


async def _lock(transaction: Transaction, name: str) -> Tally:
    """Read a tally, which nobody else can do until the transaction ends."""
    [(number, times)] = await transaction.run(
        "INSERT INTO attempts (name, number, times, last_at) VALUES ($1, 0, '', 0)"
        " ON CONFLICT (name) DO UPDATE SET number = attempts.number RETURNING number, times",
        name,
    )
    return Tally(number, tuple(int(time) for time in times.split()))


async def _write(transaction: Transaction, name: str, tally: Tally) -> None:
    if tally == Tally():
        await transaction.run("DELETE FROM attempts WHERE name = $1", name)
        return
    await transaction.run(
        "UPDATE attempts SET number = $2, times = $3, last_at = $4 WHERE name = $1",
        *(name, tally.number, " ".join(map(str, tally.times)), max(tally.times, default=0)),
    )
