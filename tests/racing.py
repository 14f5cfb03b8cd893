"""The application in a process of its own, which does what it is told at the same moment as another one.

`Racer` is the end of it in the test; run as a program, this file is the other end. Each line is one command in JSON,
and each answer one line.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client import KEY, Visitor, set_active, with_cheap_hashes
from quartlogin.accounts import get_accounts
from quartlogin.webapp import create_app

#: Seconds from the moment when all are ready to the start.
SOON = 0.02
#: Seconds after the start within which a sign-in is sent, at random.
SPREAD = 0.03

READY = "ready"


class Racer:
    """A process that uses a database together with others."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def send(self, line: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for the next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "The process has ended."
        return json.loads(line)

    def ask(self, command: str, *arguments: Any) -> Any:
        """Send a command, and wait for the answer."""
        self.send([False, command, *arguments])
        return self.hear()


def race(*commands: tuple[Any, ...]) -> list[Any]:
    """Let processes do something at the same moment, when all of them have prepared it.

    Args:
        commands: Each one a `Racer`, the name of a command, and its arguments.

    Returns:
        The answer to each command.
    """
    for racer, *command in commands:
        racer.send([True, *command])
    for racer, *_ in commands:
        assert racer.hear() == READY
    at = time.time() + SOON
    for racer, *_ in commands:
        racer.send(at)
    return [racer.hear() for racer, *_ in commands]


@contextmanager
def racer(database: str) -> Iterator[Racer]:
    """Start one."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the audit log
        text=True,
    )
    with process:
        try:
            yield Racer(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


class _Commands:
    """What can be asked for."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.owner = Visitor(app.test_client())
        self.is_race = False

    async def start(self) -> float:
        """In a race, wait until all processes are ready; returns when to begin, in seconds since 1970."""
        if not self.is_race:
            return 0
        _say(READY)
        return float(await _next_line())

    async def register(self, password: str) -> int:
        """Make the account; this process's browser stays signed in."""
        return (await self.owner.register("Alice", password)).status

    async def sign_in(self, password: str) -> int:
        """Sign in with this process's browser."""
        self.owner = Visitor(self.app.test_client())
        return (await self.owner.sign_in("Alice", password)).status

    async def sign_in_often(self, password: str, times: int) -> list[dict[str, str]]:
        """Sign in with new browsers at random moments; returns the cookies of those that were let in."""
        browsers = [Visitor(self.app.test_client()) for _ in range(times)]
        tokens = [(await browser.get("/login")).token for browser in browsers]
        at = await self.start()

        async def try_it(browser: Visitor, token: str) -> bool:
            await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
            fields = {"csrf_token": token, "username": "Alice", "password": password}
            address = f"10.{random.randrange(250)}.{random.randrange(250)}.{random.randrange(250)}"
            answer = await browser.post("/login", fields, scope_base={"client": (address, 1)})
            return answer.status == 302

        let_in = await asyncio.gather(*map(try_it, browsers, tokens))
        return [browser.cookies for browser, is_in in zip(browsers, let_in, strict=True) if is_in]

    async def make_tokens(self, times: int) -> list[str]:
        """Make API tokens at random moments; returns those that were made."""
        page = await self.owner.get("/account")
        assert page.status == 200
        at = await self.start()

        async def try_it(number: int) -> str:
            await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
            fields = {"csrf_token": page.token, "name": f"token {number}", "days": "366"}
            answer = await self.owner.post("/account/tokens", fields)
            return answer.text.partition('id="new-token"')[2].partition("<code>")[2].partition("</code>")[0]

        return [token for token in await asyncio.gather(*map(try_it, range(times))) if token]

    async def change_password(self, current: str, new: str) -> str | None:
        """Change the password in this process's browser; returns where that leads."""
        page = await self.owner.get("/account/password")
        await asyncio.sleep(max(0, await self.start() - time.time()))
        fields = {"csrf_token": page.token, "current_password": current, "new_password": new}
        return (await self.owner.post("/account/password", fields)).location

    async def set_password(self, new: str) -> bool:
        """Set the password, as the operator does."""
        parts = get_accounts(self.app)
        found = await parts.store.users.find_credentials("alice")
        assert found is not None
        password_hash = await parts.passwords.hashing.hash(new)
        await asyncio.sleep(max(0, await self.start() - time.time()) + random.random() * SPREAD)
        event = parts.audit_log.event("password_set", found.user.id)
        return await parts.store.passwords.set(found.user.id, password_hash, event)

    async def disable_and_enable(self) -> bool:
        """Disable the account and enable it, as the operator does."""
        await asyncio.sleep(max(0, await self.start() - time.time()) + random.random() * SPREAD)
        await set_active(self.app, "alice", active=False)
        await set_active(self.app, "alice", active=True)
        return True

    async def revoke_all(self) -> int:
        """End everybody's logins, as the operator does."""
        await asyncio.sleep(max(0, await self.start() - time.time()) + random.random() * SPREAD)
        return await get_accounts(self.app).logins.revoke_all()

    async def count_let_in(self, jars: list[dict[str, str]], tokens: list[str]) -> int:
        """Count the cookies and tokens with which somebody is signed in."""
        headers = [{"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} for jar in jars]
        headers += [{"Authorization": f"Bearer {token}"} for token in tokens]
        client = self.app.test_client(use_cookies=False)
        answers = [await client.get("/api/me", headers={"Accept": "application/json", **each}) for each in headers]
        assert {answer.status_code for answer in answers} <= {200, 401}
        return sum(answer.status_code == 200 for answer in answers)


async def _serve(database: str) -> None:
    app = with_cheap_hashes(
        create_app(
            DATABASE=database,
            SECRET_KEY=KEY,
            MAX_LOGINS_PER_USER=1000,
            LOGIN_RATE_LIMIT_PER_ACCOUNT=50,
            LOGIN_RATE_LIMIT_PER_ADDRESS=500,
        )
    )
    async with app.test_app():
        commands = _Commands(app)
        while (line := await _next_line()) is not None:
            commands.is_race, name, *arguments = line
            _say(await getattr(commands, name)(*arguments))


async def _next_line() -> Any:
    """Return what the test has sent, or `None` at the end."""
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 -- the test reads it


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
