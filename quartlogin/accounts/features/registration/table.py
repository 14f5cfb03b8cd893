"""The registrations table: registrations that have begun, whose user the app creates in a separate transaction."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from ...database.interface import Database, Transaction

#: Seconds for which a registration stands: later, its password is worth nothing.
LIFETIME: Final = 60 * 60


class BegunRegistration(NamedTuple):
    """A registration that has begun."""

    #: The normalized name.
    name_key: str
    #: argon2's PHC string.
    password_hash: str
    #: Seconds since 1970.
    begun_at: int


@dataclass(frozen=True)
class RegistrationTable:
    """The begun registrations of one database. Every method raises `StoreUnavailable` when it does not respond."""

    database: Database

    async def begin(self, name_key: str, password_hash: str, now: int, interrupted_until: int) -> bool:
        """Begin a registration, or continue one; return False if another one of this name has begun.

        Args:
            name_key: The normalized name.
            password_hash: argon2's PHC string.
            now: Seconds since 1970.
            interrupted_until: One with the same hash is continued if it began at this time or earlier. A later one may
                be running still, as when a form was sent twice.
        """
        rows = await self.database.write(
            "INSERT INTO quartlogin_registrations (username_key, password_hash, created_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (username_key) DO UPDATE SET created_at = excluded.created_at"
            " WHERE quartlogin_registrations.password_hash = excluded.password_hash"
            " AND quartlogin_registrations.created_at <= $4 RETURNING username_key",
            *(name_key, password_hash, now, interrupted_until),
        )
        return bool(rows)

    async def find(self, name_key: str, since: int, until: int) -> BegunRegistration | None:
        """Find a registration of this name that began between two times.

        Args:
            name_key: The normalized name.
            since: The first second: seconds since 1970.
            until: The last second.
        """
        rows = await self.database.read(
            "SELECT username_key, password_hash, created_at FROM quartlogin_registrations"
            " WHERE username_key = $1 AND created_at >= $2 AND created_at <= $3",
            *(name_key, since, until),
        )
        return BegunRegistration(*rows[0]) if rows else None

    async def withdraw(self, name_key: str, password_hash: str) -> None:
        """Remove a registration whose user was not created."""
        await self.database.write(
            "DELETE FROM quartlogin_registrations WHERE username_key = $1 AND password_hash = $2",
            *(name_key, password_hash),
        )

    async def withdraw_expired(self, name_key: str, before: int) -> None:
        """Remove a registration that began before a time, and did not begin again."""
        await self.database.write(
            "DELETE FROM quartlogin_registrations WHERE username_key = $1 AND created_at < $2", name_key, before
        )

    @staticmethod
    async def complete(transaction: Transaction, name_key: str, password_hash: str) -> bool:
        """Remove a registration together with adding its account; return False if it is gone."""
        rows = await transaction.run(
            "DELETE FROM quartlogin_registrations WHERE username_key = $1 AND password_hash = $2"
            " RETURNING username_key",
            *(name_key, password_hash),
        )
        return bool(rows)

    async def list_before(self, time: int, at_most: int) -> list[BegunRegistration]:
        """List some registrations that began before a time, the oldest first."""
        rows = await self.database.read(
            "SELECT username_key, password_hash, created_at FROM quartlogin_registrations WHERE created_at < $1"
            " ORDER BY created_at LIMIT $2",
            *(time, at_most),
        )
        return [BegunRegistration(*row) for row in rows]
