"""The table of pending sign-ins."""

from dataclasses import dataclass

from ..database.errors import Conflict
from ..database.interface import Database, Transaction
from ..database.locking import lock_account

_INSERT = (
    "INSERT INTO quartlogin_pending_sign_ins"
    " (id_hash, user_id, security_stamp, feature, done, is_remembered, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
)


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in that waits for a step."""

    id_hash: str
    user_id: str
    #: The account's when the password was checked.
    security_stamp: int
    #: The name of the feature whose step it waits for.
    feature: str
    #: The names of the features whose steps are completed.
    done: tuple[str, ...]
    is_remembered: bool
    #: Seconds since 1970.
    expires_at: int


@dataclass(frozen=True)
class PendingSignIns:
    """The pending sign-ins of one database. Every method raises `StoreUnavailable` when it does not respond."""

    database: Database

    async def add(self, new: PendingSignIn) -> None:
        """Add a pending sign-in.

        Raises:
            Conflict: There is no such account.
        """
        await self.database.write(_INSERT, *_values(new))

    async def find(self, id_hash: str, now: int) -> PendingSignIn | None:
        """Find a pending sign-in that has not expired.

        Args:
            id_hash: The hash of its id.
            now: Seconds since 1970.
        """
        rows = await self.database.read(
            "SELECT id_hash, user_id, security_stamp, feature, done, is_remembered, expires_at"
            " FROM quartlogin_pending_sign_ins WHERE id_hash = $1 AND expires_at > $2",
            *(id_hash, now),
        )
        if not rows:
            return None
        id_, user_id, stamp, feature, done, is_remembered, expires_at = rows[0]
        return PendingSignIn(id_, user_id, stamp, feature, tuple(done.split()), bool(is_remembered), expires_at)

    @staticmethod
    async def take(transaction: Transaction, pending: PendingSignIn, now: int) -> None:
        """Use a pending sign-in, once, and lock its account.

        Raises:
            Conflict: It has been used, or has expired.
        """
        await lock_account(transaction, pending.user_id)
        rows = await transaction.run(
            "DELETE FROM quartlogin_pending_sign_ins WHERE id_hash = $1 AND expires_at > $2 RETURNING id_hash",
            *(pending.id_hash, now),
        )
        if not rows:
            raise Conflict("This sign-in has been completed, or has expired.")

    async def replace(self, pending: PendingSignIn, new: PendingSignIn, now: int) -> None:
        """Let a sign-in wait for another step, under another id.

        Raises:
            Conflict: As in `take`.
        """

        async def work(transaction: Transaction) -> None:
            await self.take(transaction, pending, now)
            await transaction.run(_INSERT, *_values(new))

        await self.database.transaction(work)

    async def remove(self, id_hash: str) -> None:
        """Remove a pending sign-in, if there is one with this hash."""
        await self.database.write("DELETE FROM quartlogin_pending_sign_ins WHERE id_hash = $1", id_hash)

    async def remove_expired(self, now: int, at_most: int) -> int:
        """Remove some that have expired; return how many."""
        rows = await self.database.write(
            "DELETE FROM quartlogin_pending_sign_ins WHERE id_hash IN (SELECT id_hash FROM quartlogin_pending_sign_ins"
            " WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING id_hash",
            *(now, at_most),
        )
        return len(rows)


def _values(pending: PendingSignIn) -> tuple[object, ...]:
    return (
        *(pending.id_hash, pending.user_id, pending.security_stamp, pending.feature, " ".join(pending.done)),
        *(pending.is_remembered, pending.expires_at),
    )
