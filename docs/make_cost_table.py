"""Count the queries of each request, and print the table in application.md.

python docs/make_cost_table.py
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import aiosqlite
from argon2 import PasswordHasher

from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.webapp import create_app

KEY = "a key for a table, of more than 32 characters"
PASSWORD, NEW_PASSWORD = "a sentence for a table", "another sentence for it"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


class Counter:
    """Counts trips to the database's threads, and their statements."""

    def __init__(self) -> None:
        self.trips = 0
        self.reads = 0
        self.writes = 0

    def count(self, statement: str) -> None:
        """Count one statement."""
        if statement.startswith("SELECT"):
            self.reads += 1
        elif not statement.startswith(CONTROL):
            self.writes += 1


Visit = Callable[[], Awaitable[Any]]


async def make_table() -> str:
    """Return the table."""
    with TemporaryDirectory() as folder:
        app = create_app(DATABASE=str(Path(folder) / "people.sqlite3"), SECRET_KEY=KEY)
        parts = get_accounts(app)
        parts.passwords.hashing = PasswordHashing(CHEAP)
        async with app.test_app():
            rows = [await measure(app, name, *visit) for name, visit in (await visits(app)).items()]
    lines = ["| request | statements that read | that write | trips to the database |", "|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


async def measure(app: Any, name: str, visit: Visit, prepare: Visit | None = None) -> str:
    """Run a request, and return its row and its deferred writes; its preparation is not counted."""
    if prepare is not None:
        await prepare()
    counter = Counter()
    execute = aiosqlite.Connection._execute

    async def counted(connection: aiosqlite.Connection, function: Any, *args: Any, **options: Any) -> Any:
        counter.trips += 1
        if args and isinstance(args[0], str):
            counter.count(args[0])
        return await execute(connection, function, *args, **options)

    with mock.patch.object(aiosqlite.Connection, "_execute", counted):
        status = await visit()
        await get_accounts(app).user_loader.last_seen.flush()
    return f"| {name} ({status}) | {counter.reads} | {counter.writes} | {counter.trips} |"


async def visits(app: Any) -> dict[str, tuple[Visit, ...]]:
    """Return the measured requests, in order: each depends on the state left by the previous ones."""
    nobody, ada, phone, forgetful = (app.test_client() for _ in range(4))
    api = app.test_client(use_cookies=False)
    tokens: list[str] = []
    forms: dict[Any, str] = {}

    async def prepare(client: Any, page: str) -> None:
        text = await (await client.get(page)).get_data(as_text=True)
        forms[client] = re.search(r'name="csrf_token" value="(\w+)"', text)[1]  # type: ignore[index]  # every form has one

    async def get(client: Any, path: str, **headers: str) -> Any:
        return (await client.get(path, headers=headers)).status_code

    async def post(client: Any, path: str, **fields: str) -> Any:
        answer = await client.post(path, form={"csrf_token": forms[client], **fields})
        tokens.extend(re.findall(r"<code>([\w.-]{40,})</code>", await answer.get_data(as_text=True)))
        return answer.status_code

    async def sign_in(client: Any, password: str, **more: str) -> Any:
        return await post(client, "/login", username="ada", password=password, **more)

    for client, page in ((ada, "/register"), (phone, "/login"), (forgetful, "/login")):
        await prepare(client, page)
    await post(ada, "/register", username="ada", password=PASSWORD)
    await prepare(ada, "/account")

    async def restored() -> Any:
        phone.cookie_jar.clear_session_cookies()
        return await get(phone, "/")

    rows: dict[str, Any] = {
        "`/`, `/login`, any page: anonymous": lambda: get(nobody, "/"),
        "`/healthz`": lambda: get(nobody, "/healthz"),
        "`/readyz`": lambda: get(nobody, "/readyz"),
        "`POST /login`: wrong": lambda: sign_in(phone, "not the right password"),
        "`POST /login`: unknown": lambda: post(forgetful, "/login", username="eve", password=PASSWORD),
        "`POST /login`: right": lambda: sign_in(phone, PASSWORD, remember="y"),
        "`/`, any other page: signed in": lambda: get(ada, "/"),
        "`/`: back with a remember cookie": restored,
        "`/account`": lambda: get(ada, "/account"),
        "`/api/me`: session": lambda: get(ada, "/api/me"),
        "`POST /account/tokens`": lambda: post(ada, "/account/tokens", name="program"),
        "`/api/me`: bearer token": lambda: get(api, "/api/me", Authorization=f"Bearer {tokens[0]}"),
        "`POST /reauthenticate`": lambda: post(ada, "/reauthenticate", password=PASSWORD),
        "`POST /account/logins/revoke-others`": (
            lambda: post(ada, "/account/logins/revoke-others"),
            lambda: prepare(ada, "/account"),
        ),
        "`POST /account/password`": lambda: post(
            ada, "/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD
        ),
        "`POST /logout`": (lambda: post(ada, "/logout"), lambda: prepare(ada, "/account")),
    }
    return {name: visit if isinstance(visit, tuple) else (visit,) for name, visit in rows.items()}


if __name__ == "__main__":
    print(asyncio.run(make_table()), end="")
