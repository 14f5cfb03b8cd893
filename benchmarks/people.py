"""The users of the benchmarks: rows in a database, and the cookies of their logins."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256, sha512
from itertools import islice
from typing import Any, Final

from driving import ADDRESS, BROWSER
from quart import Quart

from quartlogin.accounts.store import store_at

#: A hash with the cost of argon2-cffi's default profile; no one signs in with it where pages are measured.
NO_PASSWORD: Final = "no password"
_BATCH: Final = 10_000
_A_YEAR: Final = 365 * 24 * 60 * 60


def user_id(number: int) -> str:
    """Return the id of a user, in the application's format."""
    return f"{number:022d}"


#: Each statement takes an id, a name, a password hash and a time.
_INSERT_USER = (
    "INSERT INTO quartlogin_users (id, username, username_key, created_at) VALUES ($1, $2, $2, $4)",
    "INSERT INTO quartlogin_accounts (user_id, created_at) VALUES ($1, $4)",
    "INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at) VALUES ($1, $3, $4)",
)


def login_id(number: int) -> str:
    """Return the id of a login; logins belong to users 0, 1 and so on, and then again from 0."""
    return f"{number:032d}"


async def fill(database: str, users: int, logins: int, password_hash: str = NO_PASSWORD) -> None:
    """Create a database with this many users, called user0 and so on, and this many logins."""
    store = store_at(database)
    await store.database.open()
    now = int(time.time())

    async def work(transaction: Any) -> None:
        for rows in _batches((user_id(n), f"user{n}", password_hash, now) for n in range(users)):
            for statement in _INSERT_USER:
                await transaction.run_many(statement, rows)
        for rows in _batches(_login(n, user_id(n % users), now) for n in range(logins)):
            await transaction.run_many(
                "INSERT INTO quartlogin_logins"
                " (id_hash, public_id, user_id, kind, security_stamp, secrets, made_at, seen_at, expires_at,"
                " address, browser) VALUES ($1, $2, $3, 'session', 0, '', $4, $4, $5, '127.0.0.1', 'a browser')",
                rows,
            )

    await store.database.transaction(work)
    await store.database.close()
    if "://" not in database:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_now(database: str, users: int, logins: int) -> None:
    """Do the same outside an event loop."""
    asyncio.run(fill(database, users, logins))


def cookie_of_login(app: Quart, number: int, users: int) -> str:
    """Return the session cookie of a login that `fill` has created."""
    fingerprint = sha512(f"{ADDRESS}|{BROWSER}".encode()).hexdigest()
    contents = {"_user_id": user_id(number % users), "_login_id": login_id(number), "_fresh": True, "_id": fingerprint}
    interface: Any = app.session_interface
    return str(interface.get_signing_serializer(app).dumps(contents))


def cookie_of_floor(app: Quart, number: int, users: int) -> str:
    """Return the floor's session cookie for the user whose login has this number."""
    interface: Any = app.session_interface
    return str(interface.get_signing_serializer(app).dumps({"user_id": user_id(number % users)}))


def _login(number: int, of_user: str, now: int) -> tuple[Any, ...]:
    return sha256(login_id(number).encode()).hexdigest(), f"{number:016x}", of_user, now, now + _A_YEAR


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
