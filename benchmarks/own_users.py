"""Compare `users_loader` with `user_loader` in an app with its own users: the same app, the same table.

python benchmarks/own_users.py [--small]
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import aiosqlite
from driving import asks, compare, page, serving
from floor import KEY, TEMPLATES, add_pages
from people import cookie_of_login, fill
from quart import Quart

from quartlogin import LoginManager, SignedSessionInterface, UserMixin


class User(UserMixin):
    """A row of the app's own table."""

    def __init__(self, id: str, username: str) -> None:  # noqa: A002 -- as users call theirs
        self.id, self.username = id, username


def make_app(database: str, register: Callable[[LoginManager[User], list[aiosqlite.Connection]], None]) -> Quart:
    """Create the app, with the loader that `register` registers."""
    app = Quart("own_users", template_folder=str(TEMPLATES))
    app.secret_key = KEY
    app.session_interface = SignedSessionInterface()
    login_manager: LoginManager[User] = LoginManager(app)
    connections: list[aiosqlite.Connection] = []
    register(login_manager, connections)

    @app.before_serving
    async def connect() -> None:
        connections.append(await aiosqlite.connect(database))

    @app.after_serving
    async def disconnect() -> None:
        await connections.pop().close()

    add_pages(app)
    return app


def one_by_one(login_manager: LoginManager[User], connections: list[aiosqlite.Connection]) -> None:
    """Register a loader of one user at a time."""

    @login_manager.user_loader
    async def find(user_id: str) -> User | None:
        statement = "SELECT id, username FROM quartlogin_users WHERE id = ?"
        rows = await connections[0].execute_fetchall(statement, (user_id,))
        return next((User(*row) for row in rows), None)


def together(login_manager: LoginManager[User], connections: list[aiosqlite.Connection]) -> None:
    """Register a loader of many users at a time."""

    @login_manager.users_loader
    async def find(user_ids: list[str]) -> dict[str, User]:
        statement = f"SELECT id, username FROM quartlogin_users WHERE id IN ({', '.join('?' * len(user_ids))})"
        return {row[0]: User(*row) for row in await connections[0].execute_fetchall(statement, user_ids)}


async def main() -> None:
    people, rounds, requests = (128, 7, 256) if "--small" in sys.argv else (2_000, 61, 512)
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, people, people)
        apps: list[Any] = [make_app(database, together), make_app(database, one_by_one)]
        cookies = [[f"session={cookie_of_login(app, number, people)}" for number in range(people)] for app in apps]
        async with serving(*apps):
            for app, own in zip(apps, cookies, strict=True):
                assert "Hello, user1" in await page(app, "/home", own[1])
            many, one = (asks(app, "/home", own) for app, own in zip(apps, cookies, strict=True))
            for at_a_time in (1, 2, 3, 8, 32):
                result = await compare(many, one, rounds=rounds, requests=requests, at_a_time=at_a_time)
                print(f"users_loader against user_loader, {at_a_time:2} at a time  {result}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
