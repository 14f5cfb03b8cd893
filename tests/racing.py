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

#: Seconds after the start within which a sign-in is sent, at random.
SPREAD = 0.03


class Racer:
    """A process that uses a database together with others."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def tell(self, command: str, *arguments: Any) -> None:
        """Send a command, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for the answer to the command that was sent first of those not answered yet."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "The process has ended."
        return json.loads(line)

    def ask(self, command: str, *arguments: Any) -> Any:
        self.tell(command, *arguments)
        return self.hear()


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
    """What can be asked for. `at` is when to begin: seconds since 1970, the same for all processes."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.owner = Visitor(app.test_client())

    async def register(self, password: str) -> int:
        """Make the account; this process's browser stays signed in."""
        return (await self.owner.register("Alice", password)).status

    async def sign_in(self, password: str) -> int:
        """Sign in with this process's browser."""
        self.owner = Visitor(self.app.test_client())
        return (await self.owner.sign_in("Alice", password)).status

    async def sign_in_often(self, at: float, password: str, times: int) -> list[dict[str, str]]:
        """Sign in with new browsers at random moments; returns the cookies of those that were let in."""
        browsers = [Visitor(self.app.test_client()) for _ in range(times)]
        tokens = [(await browser.get("/login")).token for browser in browsers]

        async def try_it(browser: Visitor, token: str) -> bool:
            await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
            fields = {"csrf_token": token, "username": "Alice", "password": password}
            address = f"10.{random.randrange(250)}.{random.randrange(250)}.{random.randrange(250)}"
            answer = await browser.post("/login", fields, scope_base={"client": (address, 1)})
            return answer.status == 302

        let_in = await asyncio.gather(*map(try_it, browsers, tokens))
        return [browser.cookies for browser, is_in in zip(browsers, let_in, strict=True) if is_in]

    async def make_tokens(self, at: float, times: int) -> list[str]:
        """Make API tokens at random moments; returns those that were made."""
        page = await self.owner.get("/account")
        if page.status != 200:  # on a slow machine, the other process was done before this one began
            return []

        async def try_it(number: int) -> str:
            await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
            fields = {"csrf_token": page.token, "name": f"token {number}", "days": "366"}
            answer = await self.owner.post("/account/tokens", fields)
            return answer.text.partition('id="new-token"')[2].partition("<code>")[2].partition("</code>")[0]

        return [token for token in await asyncio.gather(*map(try_it, range(times))) if token]

    async def change_password(self, at: float, current: str, new: str) -> str | None:
        """Change the password in this process's browser; returns where that leads."""
        page = await self.owner.get("/account/password")
        await asyncio.sleep(max(0, at - time.time()))
        fields = {"csrf_token": page.token, "current_password": current, "new_password": new}
        return (await self.owner.post("/account/password", fields)).location

    async def set_password(self, at: float, new: str) -> bool:
        """Set the password, as the operator does."""
        parts = get_accounts(self.app)
        found = await parts.store.users.find_credentials("alice")
        assert found is not None
        password_hash = await parts.passwords.hashing.hash(new)
        await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
        event = parts.audit_log.event("password_set", found.user.id)
        return await parts.store.passwords.set(found.user.id, password_hash, event)

    async def disable_and_enable(self, at: float) -> bool:
        """Disable the account and enable it, as the operator does."""
        await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
        await set_active(self.app, "alice", active=False)
        await set_active(self.app, "alice", active=True)
        return True

    async def revoke_all(self, at: float) -> int:
        """End everybody's logins, as the operator does."""
        await asyncio.sleep(max(0, at - time.time()) + random.random() * SPREAD)
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
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, *arguments = json.loads(line)
            print(json.dumps(await getattr(commands, name)(*arguments)), flush=True)  # noqa: T201 -- the answer


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
