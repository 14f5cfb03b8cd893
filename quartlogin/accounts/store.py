"""Where users, their logins and what happened to them are kept: the tables, over a database of either kind."""

from dataclasses import dataclass
from typing import Final

from .audit.events import MOST_EVENTS, MOST_USERS, Events
from .database.errors import Conflict, DatabaseRefused, LoginEnded, NamesTaken, StoreUnavailable, UsernameTaken
from .database.interface import Database, Transaction
from .database.locking import lock_for
from .database.models import (
    LONGEST_BROWSER,
    NEVER,
    ActingLogin,
    Credentials,
    Event,
    FoundLogin,
    Kind,
    LoginRow,
    Moment,
    NewLogin,
    NewUser,
    RememberedLogin,
    Seen,
    Tally,
    User,
    UserRow,
)
from .database.postgres import PostgresDatabase
from .database.sqlite import SQLiteDatabase
from .features.logins.table import Logins
from .security.attempt_counters import Attempts, Change, name_of_holders, name_of_user
from .users import Users

__all__ = [
    "LONGEST_BROWSER",
    "MOST_EVENTS",
    "MOST_USERS",
    "NEVER",
    "POSTGRES_SCHEMES",
    "ActingLogin",
    "Attempts",
    "Change",
    "Conflict",
    "Credentials",
    "Database",
    "DatabaseRefused",
    "Event",
    "FoundLogin",
    "Kind",
    "LoginEnded",
    "LoginRow",
    "Logins",
    "Moment",
    "NamesTaken",
    "NewLogin",
    "NewUser",
    "PostgresDatabase",
    "RememberedLogin",
    "SQLiteDatabase",
    "Seen",
    "Store",
    "StoreUnavailable",
    "Tally",
    "Transaction",
    "User",
    "UserRow",
    "UsernameTaken",
    "Users",
    "lock_for",
    "name_of_holders",
    "name_of_user",
    "store_at",
]

#: How the address of a PostgreSQL server begins; everything else is the path of a file.
POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Store:
    """A database and its tables."""

    database: Database
    users: Users
    logins: Logins
    events: Events
    attempts: Attempts

    async def ping(self) -> None:
        """Return if the database answers.

        Raises:
            StoreUnavailable: It does not.
        """
        await self.database.read("SELECT version FROM quartlogin_schema")


def store_at(address: str) -> Store:
    """Return the store in a file or on a PostgreSQL server; it is opened with `store.database.open()`."""
    is_server = address.startswith(POSTGRES_SCHEMES)
    database: Database = PostgresDatabase(address) if is_server else SQLiteDatabase(address)
    return Store(database, Users(database), Logins(database), Events(database), Attempts(database))
