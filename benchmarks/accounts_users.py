"""Compare a logged-in page of an app with accounts on its own users table with the floor's.

The users are found one by one (`by_id`), many at a time (`by_ids`), or in one statement with the login (`columns`).

python benchmarks/accounts_users.py [--small]
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import aiosqlite
from driving import Ask, asks, compare, page, serving
from floor import KEY, TEMPLATES, add_pages, make_floor
from people import cookie_of_floor, cookie_of_login, fill
from quart import Quart

from quartlogin import SignedSessionInterface, UserMixin
from quartlogin.accounts import Accounts, UserColumns
from quartlogin.accounts.features.logins.user_loader import APPLICATION

_SELECT = "SELECT id, username FROM quartlogin_users WHERE"


class Person(UserMixin):
    """A row of the app's own table."""

    def __init__(self, id: str, username: str) -> None:  # noqa: A002 -- as users call theirs
        self.id, self.username = id, username


class People:
    """The users, found one by one."""

    table = "quartlogin_users"  # in which `fill` has created them

    def __init__(self, connections: list[aiosqlite.Connection]) -> None:
        self._connections = connections

    async def by_id(self, user_id: str) -> Person | None:
        """Find a user by id."""
        return (await self.find("id = ?", [user_id])).get(user_id)

    async def by_name(self, name: str) -> Person | None:
        """Find a user by name."""
        return next(iter((await self.find("username_key = ?", [name])).values()), None)

    async def find(self, condition: str, values: list[str]) -> dict[str, Person]:
        """Find users."""
        rows = await self._connections[0].execute_fetchall(f"{_SELECT} {condition}", values)
        return {row[0]: Person(*row) for row in rows}

    async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
        """Create nobody."""
        raise NotImplementedError

    def name_of(self, user: Person) -> str:
        """Return what pages show."""
        return user.username


class PeopleTogether(People):
    """The users, found many at a time."""

    async def by_ids(self, user_ids: list[str]) -> dict[str, Person]:
        """Find many users."""
        return await self.find(f"id IN ({', '.join('?' * len(user_ids))})", user_ids)


class JoinedPeople(People):
    """The users, found in one statement with the login."""

    columns = UserColumns("quartlogin_users", "id", ("id", "username"), make=Person)


def make_app(database: str, kind: type[People]) -> Quart:
    """Create the app, with users of a kind."""
    app = Quart("accounts_users", template_folder=str(TEMPLATES))
    app.secret_key = KEY
    app.session_interface = SignedSessionInterface(APPLICATION)
    connections: list[aiosqlite.Connection] = []

    @app.before_serving
    async def connect() -> None:
        connections.append(await aiosqlite.connect(database))

    Accounts(app, database=database, users=kind(connections), audience=APPLICATION)

    @app.after_serving
    async def disconnect() -> None:
        await connections.pop().close()

    add_pages(app)
    return app


async def main() -> None:
    people, rounds, requests = (128, 7, 256) if "--small" in sys.argv else (2_000, 61, 512)
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, people, people)
        floor = make_floor(database)
        there = asks(floor, "/home", [f"session={cookie_of_floor(floor, n, people)}" for n in range(people)])
        apps = {kind: make_app(database, kind) for kind in (People, PeopleTogether, JoinedPeople)}
        async with serving(floor, *apps.values()):
            for kind, app in apps.items():
                cookies = [f"session={cookie_of_login(app, n, people)}" for n in range(people)]
                assert "Hello, user1" in await page(app, "/home", cookies[1])
                here: Ask = asks(app, "/home", cookies)
                for at_a_time in (1, 32):
                    result = await compare(here, there, rounds=rounds, requests=requests, at_a_time=at_a_time)
                    print(f"{kind.__name__:16} {at_a_time:2} at a time  {result}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
