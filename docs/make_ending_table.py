"""End a login in every way, try every old copy of its cookies, and print the table in what-ends-a-login.md.

python docs/make_ending_table.py
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from argon2 import PasswordHasher
from click.testing import CliRunner
from quart import Quart

from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.webapp import create_app
from quartlogin.webapp.cli import main

KEY = "a key for a table, of more than 32 characters"
PASSWORD, NEW_PASSWORD = "a sentence for a table", "another sentence for it"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SESSION, REMEMBER = "quartlogin", "quartlogin_remember"
DAY = 24 * 60 * 60
OK = 200


class Clock:
    """The clock of all processes."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scene:
    """One user, with a browser whose login ends, another browser, and an API token; and two processes."""

    here: Quart
    elsewhere: Quart
    database: str
    clock: Clock
    target: Any
    other: Any
    #: What the target's browser and the token's program had before.
    copies: dict[str, str]
    token: str

    async def post(self, client: Any, path: str, **fields: str) -> str:
        """Submit a page's form, as its browser would, and return the response."""
        token = None
        for page in (path, "/account"):
            text = await (await client.get(page)).get_data(as_text=True)
            token = token or re.search(r'name="csrf_token" value="(\w+)"', text)
        answer = await client.post(path, form={"csrf_token": token[1] if token else "", **fields})
        assert answer.status_code in {200, 302}, (path, answer.status_code, await answer.get_data(as_text=True))
        told: str = await answer.get_data(as_text=True)
        return told

    async def public_id(self) -> str:
        """Return the public id of the target's login."""
        page = await (await self.target.get("/account")).get_data(as_text=True)
        found = re.search(r"class=\"badge\".*?/account/logins/(\w+)/revoke", page, re.DOTALL)
        assert found is not None
        return found[1]

    async def command(self, *arguments: str, typed: str = "") -> None:
        """Run a command line on the same database."""
        told = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--database", self.database], input=typed)
        assert told.exit_code == 0, told.output

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds


Ending = Callable[[Scene], Awaitable[Any]]


async def use_every_day(scene: Scene, days: int) -> None:
    """Return every day with the browser's current cookies."""
    for _ in range(days):
        await scene.wait(DAY)
        await scene.target.get("/account")
        await get_accounts(scene.here).user_loader.last_seen.flush()


async def use_a_copy(scene: Scene) -> None:
    """Use a copy of the remember cookie, and after the grace period the browser's own."""
    await ask(scene.here, {"Cookie": f"{REMEMBER}={scene.copies[REMEMBER]}"})
    await scene.wait(31)
    await scene.target.get("/account")


async def end_by_public_id(scene: Scene) -> None:
    """Press the button beside the target in the other browser."""
    await scene.post(scene.other, f"/account/logins/{await scene.public_id()}/revoke")


async def revoke_by_command(scene: Scene) -> None:
    """Revoke the target's login on the command line."""
    await scene.command("logins", "revoke", await scene.public_id())


async def change_password(scene: Scene, client: Any) -> None:
    """Change the password in one of the browsers."""
    await scene.post(client, "/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)


async def disable_and_enable(scene: Scene) -> None:
    """Disable the user, then enable it again."""
    await scene.command("user", "disable", "ada")
    await scene.command("user", "enable", "ada")


async def revoke_token(scene: Scene) -> None:
    """Press the button beside the token."""
    page = await (await scene.other.get("/account")).get_data(as_text=True)
    found = re.search(r"/account/tokens/(\w+)/revoke", page)
    assert found is not None
    await scene.post(scene.other, f"/account/tokens/{found[1]}/revoke")


ENDINGS: dict[str, Ending] = {
    "nothing": lambda scene: scene.wait(0),
    "signing out": lambda scene: scene.post(scene.target, "/logout"),
    "signing in again in the same browser": lambda scene: scene.post(
        scene.target, "/login", username="ada", password=PASSWORD
    ),
    "ended on the account page": end_by_public_id,
    "“Sign out everywhere else”": lambda scene: scene.post(scene.other, "/account/logins/revoke-others"),
    "`quartlogin logins revoke`": revoke_by_command,
    "password changed in another browser": lambda scene: change_password(scene, scene.other),
    "password changed in this browser": lambda scene: change_password(scene, scene.target),
    "password confirmed in this browser": lambda scene: scene.post(scene.target, "/reauthenticate", password=PASSWORD),
    "`quartlogin user set-password`": lambda scene: scene.command(
        "user", "set-password", "ada", "--password-stdin", typed=NEW_PASSWORD
    ),
    "`quartlogin user disable`": lambda scene: scene.command("user", "disable", "ada"),
    "`quartlogin user disable`, then `enable`": disable_and_enable,
    "account deleted": lambda scene: scene.post(scene.other, "/account/delete", password=PASSWORD),
    "not used for 14 days": lambda scene: scene.wait(14 * DAY),
    "used every day for 30 days": lambda scene: use_every_day(scene, 30),
    "a copy of the remember cookie was used": use_a_copy,
    "token revoked": revoke_token,
}


@asynccontextmanager
async def a_scene() -> AsyncIterator[Scene]:
    """Set up a user with two browsers and a token."""
    with TemporaryDirectory() as folder, mock.patch("time.time", clock := Clock()):
        database = str(Path(folder) / "people.sqlite3")
        apps = [create_app(DATABASE=database, SECRET_KEY=KEY) for _ in range(2)]
        for app in apps:
            parts = get_accounts(app)
            parts.passwords.hashing = PasswordHashing(CHEAP)
            parts.login_manager.websocket_recheck = timedelta(seconds=0.2)  # instead of 30
        async with apps[0].test_app(), apps[1].test_app():
            target, other = apps[0].test_client(), apps[0].test_client()
            scene = Scene(apps[0], apps[1], database, clock, target, other, {}, "")
            await scene.post(other, "/register", username="ada", password=PASSWORD)
            await scene.post(target, "/login", username="ada", password=PASSWORD, remember="y")
            page = await scene.post(other, "/account/tokens", name="program", days="366")
            scene.token = re.search(r"<code>([\w.-]{40,})</code>", page)[1]  # type: ignore[index]  # the page shows it once
            scene.copies = {cookie.name: cookie.value or "" for cookie in target.cookie_jar}
            yield scene


async def ask(app: Quart, headers: dict[str, str]) -> str:
    """Return the user that a request with these headers has."""
    answer = await app.test_client(use_cookies=False).get("/api/me", headers={"Accept": "application/json", **headers})
    assert answer.status_code in {OK, 401}, answer.status_code
    return "signed in" if answer.status_code == OK else "anonymous"


class Socket:
    """A browser's websocket, connected to the application without a server."""

    def __init__(self, app: Quart, cookie: str) -> None:
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self.from_app: asyncio.Queue[Any] = asyncio.Queue()
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/account/live",
            "raw_path": b"/account/live",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"cookie", cookie.encode())],
            "subprotocols": [],
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "extensions": {},
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._handling = asyncio.ensure_future(app(scope, self._to_app.get, self.from_app.put))  # type: ignore[arg-type]  # a scope as servers make it

    async def hears(self, kind: str, seconds: float) -> bool:
        """Return whether the application sends a message of this kind in time."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.from_app.get())["type"] != kind:
                    pass
        except TimeoutError:
            return False
        return True

    async def leave(self) -> None:
        """Disconnect."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await self._handling


async def row(ending: Ending) -> dict[str, str]:
    """End the login in this way, and try all earlier cookies and connections."""
    async with a_scene() as scene:
        session, remember = (f"{name}={scene.copies[name]}" for name in (SESSION, REMEMBER))
        socket = Socket(scene.here, session)
        await socket.hears("websocket.accept", 10)
        await ending(scene)
        told = {
            "old session cookie": await ask(scene.here, {"Cookie": session}),
            "in another process": await ask(scene.elsewhere, {"Cookie": session}),
            "old session and remember cookies": await ask(scene.here, {"Cookie": f"{session}; {remember}"}),
            "old remember cookie": await ask(scene.elsewhere, {"Cookie": remember}),
            "open websocket, at its next look": ("closed" if await socket.hears("websocket.close", 1) else "open"),
            "the user's API token": await ask(scene.here, {"Authorization": f"Bearer {scene.token}"}),
        }
        await socket.leave()
        return told


async def make_table() -> str:
    """Return the table."""
    rows = {name: await row(ending) for name, ending in ENDINGS.items()}
    columns = list(next(iter(rows.values())))
    lines = ["| what happened | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name, told in rows.items():
        lines.append(f"| {name} | " + " | ".join(told[column] for column in columns) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(asyncio.run(make_table()), end="")
