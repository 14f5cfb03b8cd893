"""Where users are kept: the protocol that every database fulfils, and the databases."""

from .protocol import Credentials, DatabaseRefused, Store, StoreUnavailable, User, UsernameTaken
from .sqlite import SQLiteStore

__all__ = [
    "Credentials",
    "DatabaseRefused",
    "SQLiteStore",
    "Store",
    "StoreUnavailable",
    "User",
    "UsernameTaken",
]
