"""The table of logins: one method for each question, with its SQL."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

from .database import Database, Transaction
from .errors import Conflict
from .events import Events
from .finding import MOST_QUESTIONS, Question, find_all
from .gathering import Gathering
from .locking import lock_owner, lock_user, of_different_users
from .rows import NEVER, Event, FoundLogin, Kind, LoginRow, NewLogin, RememberedLogin, Seen

_IDLEST: Final = (
    "SELECT id_hash FROM logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2"
    " ORDER BY seen_at DESC, made_at DESC, ref"
)


@dataclass(frozen=True)
class Logins:
    """The logins of one database. Every method raises `StoreUnavailable` when the database does not answer.

    A login is named by the hash of its id, or by its ref. Times are seconds since 1970.
    """

    database: Database

    @cached_property
    def _finding(self) -> Gathering[Question, FoundLogin | None]:
        return Gathering(partial(find_all, self.database), at_once=self.database.reads_at_once, most=MOST_QUESTIONS)

    async def find(self, id_hash: str, user_id: str, now: int, idle_since: int) -> FoundLogin | None:
        """Find a user by a login that counts: one statement, one trip to the database, for all who ask meanwhile.

        Args:
            id_hash: The hash of the login's id.
            user_id: Whose login it has to be.
            now: A login that expires before counts no more.
            idle_since: A sign-in that was not seen since counts no more.
        """
        return await self._finding.ask((id_hash, user_id, now, idle_since))

    @staticmethod
    async def insert(transaction: Transaction, login: NewLogin) -> None:
        """Add a login.

        Raises:
            Conflict: There is no such user.
        """
        await transaction.run(
            "INSERT INTO logins (id_hash, ref, user_id, kind, epoch, name, secrets,"
            " made_at, seen_at, expires_at, address, browser)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            *(login.id_hash, login.ref, login.user_id, login.kind, login.epoch, login.name, login.secrets),
            *(login.made_at, login.made_at if login.kind == "session" else NEVER),
            *(login.expires_at, login.address, login.browser),
        )

    @staticmethod
    async def count(transaction: Transaction, user_id: str, kind: Kind, now: int) -> int:
        """Count a user's logins of a kind that have not expired; until the transaction ends, none can be added.

        Raises:
            Conflict: There is no such user.
        """
        # Whoever else adds one waits. Reading alone would let two count the same.
        if not await lock_user(transaction, user_id):
            raise Conflict("There is no such user.")
        rows = await transaction.run(
            "SELECT count(*) FROM logins l JOIN users u ON u.id = l.user_id"
            " WHERE l.user_id = $1 AND l.kind = $2 AND l.epoch = u.epoch AND l.expires_at > $3",
            *(user_id, kind, now),
        )
        return int(rows[0][0])

    @staticmethod
    async def renew(transaction: Transaction, old_hash: str, login: NewLogin) -> str | None:
        """Let a login go on under another id, with another secret and until later; the old ones are worth nothing.

        Returns:
            Its ref; `None` if it has ended.
        """
        rows = await transaction.run(
            "UPDATE logins SET id_hash = $3, secrets = $4, seen_at = $5, expires_at = $6"
            " WHERE id_hash = $1 AND user_id = $2 RETURNING ref",
            *(old_hash, login.user_id, login.id_hash, login.secrets, login.made_at, login.expires_at),
        )
        return str(rows[0][0]) if rows else None

    @staticmethod
    async def end_all_but(transaction: Transaction, user_id: str, id_hash: str, epoch: int) -> list[str]:
        """End a user's sign-ins but one; that one, and API tokens, go on in a new epoch.

        Returns:
            The hashes of the ids of those that ended.
        """
        rows = await transaction.run(
            "DELETE FROM logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2 RETURNING id_hash",
            *(user_id, id_hash),
        )
        await transaction.run("UPDATE logins SET epoch = $2 WHERE user_id = $1", user_id, epoch)
        return [row[0] for row in rows]

    @staticmethod
    async def end_idlest(transaction: Transaction, new: NewLogin, at_most: int) -> list[LoginRow]:
        """End those of a user's sign-ins that were not used for longest, until there are so many with a new one.

        Returns:
            What they were.
        """
        values = (new.user_id, new.id_hash, at_most - 1)
        if not await transaction.run(f"{_IDLEST} LIMIT 1 OFFSET $3", *values):
            return []
        await lock_user(transaction, new.user_id)
        rows = await transaction.run(
            f"DELETE FROM logins WHERE id_hash IN ({_IDLEST} LIMIT 1000000 OFFSET $3)"  # noqa: S608 -- a constant
            " RETURNING id_hash, ref, kind, name, made_at, seen_at, expires_at, address, browser",
            *values,
        )
        return [LoginRow(*row) for row in rows]

    async def end(self, id_hash: str, event: Event) -> Event | None:
        """End a login.

        Args:
            id_hash: The hash of the login's id.
            event: What is to be told, but for the user and the login, which are found here.

        Returns:
            What is to be told; `None` if the login is unknown or has ended already.
        """

        async def work(transaction: Transaction) -> Event | None:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run("DELETE FROM logins WHERE id_hash = $1 RETURNING user_id, ref", id_hash)
            if not rows:
                return None
            user_id, ref = rows[0]
            told = replace(event, user_id=user_id, subject=ref)
            await Events.insert(transaction, told)
            return told

        return await self.database.transaction(work)

    async def end_copied(self, id_hash: str, event: Event) -> bool:
        """End a login of which a copy was used, and keep that for the user's next sign-in; False if it has ended."""

        async def work(transaction: Transaction) -> bool:
            await lock_owner(transaction, id_hash)
            rows = await transaction.run("DELETE FROM logins WHERE id_hash = $1 RETURNING id_hash", id_hash)
            if rows:
                await transaction.run("UPDATE users SET copied_at = $2 WHERE id = $1", event.user_id, event.happened_at)
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def end_by_ref(self, user_id: str, ref: str, kind: Kind, event: Event) -> LoginRow | None:
        """End one of this user's logins by its ref.

        Args:
            user_id: Whose it has to be.
            ref: Its ref.
            kind: What it has to be.
            event: What is to be told, but for what it is about, which is found here.

        Returns:
            What it was; `None` if the user has none of this ref.
        """

        async def work(transaction: Transaction) -> LoginRow | None:
            await lock_user(transaction, user_id)
            rows = await transaction.run(
                "DELETE FROM logins WHERE user_id = $1 AND ref = $2 AND kind = $3"
                " RETURNING id_hash, ref, kind, name, made_at, seen_at, expires_at, address, browser",
                *(user_id, ref, kind),
            )
            if not rows:
                return None
            ended = LoginRow(*rows[0])
            await Events.insert(transaction, replace(event, subject=ended.subject))
            return ended

        return await self.database.transaction(work)

    async def end_sessions(self, user_id: str, event: Event, idle_since: int, *, but: str = "") -> dict[str, bool]:
        """End a user's sign-ins, but for the one whose id has this hash; API tokens go on.

        Args:
            user_id: Whose.
            event: What is told if any of them counted still.
            idle_since: One that was not seen since did not count any more.
            but: The hash of the id of the one that goes on.

        Returns:
            The hashes of the ids of those that ended, each with whether it counted still.
        """

        async def work(transaction: Transaction) -> dict[str, bool]:
            await lock_user(transaction, user_id)
            rows = await transaction.run(
                "DELETE FROM logins WHERE user_id = $1 AND kind = 'session' AND id_hash <> $2"
                " RETURNING id_hash, expires_at > $3 AND seen_at > $4"
                " AND epoch = (SELECT u.epoch FROM users u WHERE u.id = $1)",
                *(user_id, but, event.happened_at, idle_since),
            )
            if any(row[1] for row in rows):
                await Events.insert(transaction, event)
            return {row[0]: bool(row[1]) for row in rows}

        return await self.database.transaction(work)

    async def end_everyones(self) -> int:
        """End every sign-in and every token of everybody; returns how many there were."""
        return len(await self.database.write("DELETE FROM logins RETURNING ref"))

    async def user_of_ref(self, ref: str, kind: Kind) -> tuple[str, str] | None:
        """Return the id and the name of the user whose login has this ref."""
        rows = await self.database.read(
            "SELECT u.id, u.username FROM logins l JOIN users u ON u.id = l.user_id WHERE l.ref = $1 AND l.kind = $2",
            *(ref, kind),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def find_remembered(self, id_hash: str) -> RememberedLogin | None:
        """Find a login that a remember cookie names; `None` if it has ended."""
        rows = await self.database.read("SELECT ref, user_id, secrets FROM logins WHERE id_hash = $1", id_hash)
        return RememberedLogin(*rows[0]) if rows else None

    async def replace_secrets(self, id_hash: str, old: str, new: str, event: Event | None = None) -> bool:
        """Replace what is kept of a remember cookie's secrets, unless another request was quicker.

        Args:
            id_hash: The hash of the login's id.
            old: What it has to be still.
            new: What it is from now on.
            event: What is to be told of it, if anything.
        """

        async def work(transaction: Transaction) -> bool:
            if event is not None:
                await lock_owner(transaction, id_hash)
            rows = await transaction.run(
                "UPDATE logins SET secrets = $3 WHERE id_hash = $1 AND secrets = $2 RETURNING ref", id_hash, old, new
            )
            if rows and event is not None:
                await Events.insert(transaction, event)
            return bool(rows)

        return await self.database.transaction(work)

    async def list_of(self, user_id: str, now: int, idle_since: int) -> list[LoginRow]:
        """List a user's logins that count, the one that was used last first."""
        rows = await self.database.read(
            "SELECT l.id_hash, l.ref, l.kind, l.name, l.made_at, l.seen_at, l.expires_at, l.address, l.browser"
            " FROM logins l JOIN users u ON u.id = l.user_id"
            " WHERE l.user_id = $1 AND l.epoch = u.epoch AND l.expires_at > $2"
            " AND (l.kind = 'bearer' OR l.seen_at > $3) ORDER BY l.seen_at DESC, l.made_at DESC, l.ref",
            *(user_id, now, idle_since),
        )
        return [LoginRow(*row) for row in rows]

    async def touch(self, seen: Collection[Seen], resolution: int) -> None:
        """Keep when logins were seen last, but for those whose time another process has kept meanwhile.

        Args:
            seen: Which, and when.
            resolution: How many seconds later that has to be than what is kept.
        """
        for together in of_different_users(seen):
            rows = [(login.id_hash, login.at, login.at - resolution) for login in together]

            async def work(transaction: Transaction, rows: list[tuple[str, int, int]] = rows) -> None:
                await transaction.run_many("UPDATE logins SET seen_at = $2 WHERE id_hash = $1 AND seen_at <= $3", rows)

            await self.database.transaction(work)

    async def remove_expired(self, now: int, at_most: int) -> int:
        """Remove some logins that have expired; returns how many."""
        rows = await self.database.write(
            "DELETE FROM logins WHERE ref IN"
            " (SELECT ref FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING ref",
            *(now, at_most),
        )
        return len(rows)
