"""A database and its tables, in SQLite or PostgreSQL."""

from dataclasses import dataclass
from typing import Final

from .audit.log import Events
from .database.errors import DatabaseRefused
from .database.interface import Database
from .database.postgres import PostgresDatabase
from .database.sqlite import SQLiteDatabase
from .features.logins.table import Logins
from .features.passwords.table import PasswordTable
from .features.registration.table import RegistrationTable
from .security.rate_limits import AttemptCounters
from .sign_in.table import PendingSignIns
from .table import AccountTable
from .users.table import OwnUsers

#: The schemes of the URL of a PostgreSQL server; anything else is the path of a file.
POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Store:
    """A database and its tables."""

    database: Database
    accounts: AccountTable
    passwords: PasswordTable
    registrations: RegistrationTable
    users: OwnUsers
    logins: Logins
    pending_sign_ins: PendingSignIns
    events: Events
    attempts: AttemptCounters

    async def create_tables(self, users_table: str, *, is_shared: bool) -> None:
        """Create the tables of a database that is not open, or upgrade older ones.

        Args:
            users_table: The name of the users table, whose accounts these are.
            is_shared: Whether the database may contain the tables of an app.

        Raises:
            DatabaseRefused: The database cannot be used, or its accounts are those of another users table.
        """
        await self.database.open(is_shared=is_shared)
        try:
            await self.claim(users_table)
        finally:
            await self.database.close()

    async def claim(self, users_table: str) -> None:
        """Note whose accounts these are.

        Args:
            users_table: The name of the users table.

        Raises:
            DatabaseRefused: They are those of another users table.
        """
        await self.database.write(
            "UPDATE quartlogin_schema SET users_table = $1 WHERE users_table IS NULL", users_table
        )
        [(owner,)] = await self.database.read("SELECT users_table FROM quartlogin_schema")
        if owner != users_table:
            raise DatabaseRefused(
                f"The accounts in {self.database.label} are those of the users table {owner!r}, and the app's is "
                f"{users_table!r}: use another database. If the table was renamed, set `users_table` in "
                "quartlogin_schema."
            )

    async def ping(self) -> None:
        """Check that the database responds.

        Raises:
            StoreUnavailable: It does not.
        """
        await self.database.read("SELECT version FROM quartlogin_schema")


def store_at(address: str) -> Store:
    """Return the store in a file or on a PostgreSQL server; open it with `store.database.open()`."""
    is_server = address.startswith(POSTGRES_SCHEMES)
    database: Database = PostgresDatabase(address) if is_server else SQLiteDatabase(address)
    return Store(
        database,
        AccountTable(database),
        PasswordTable(database),
        RegistrationTable(database),
        OwnUsers(database),
        Logins(database),
        PendingSignIns(database),
        Events(database),
        AttemptCounters(database),
    )
