"""The application as a fuzzer talks to it: the request as a server hands it on, and what comes back."""

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from argon2 import PasswordHasher
from quart import Quart

from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.webapp import create_app

KEY = "a key for the fuzzer, of more than 32 characters"
FORM_TYPE = b"application/x-www-form-urlencoded"

#: Nobody's seeds hold this password, so no input can delete the account that all of them share.
PASSWORD = "no input of the fuzzer has this in it"

Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")


@dataclass
class Answer:
    """What the application sent."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    @property
    def cookies(self) -> bytes:
        """The cookies that were set, as a browser sends them back."""
        return b"; ".join(value.partition(b";")[0] for name, value in self.headers if name.lower() == b"set-cookie")

    @property
    def form_token(self) -> str:
        found = re.search(rb'name="csrf_token" value="([0-9a-f]{64})"', self.body)
        assert found is not None, "the page has no form"
        return found[1].decode()


@dataclass(frozen=True)
class Sender:
    """A browser's cookies, and the token that its forms have."""

    cookies: bytes
    form_token: str


class FuzzedApp:
    """The application on a database of its own, behind one proxy: started once, since that takes longer than a run."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._loop = asyncio.Runner()
        self.app = create_app(DATABASE=f"{self._folder.name}/people.sqlite3", SECRET_KEY=KEY, TRUSTED_PROXIES=1)
        _make_hashes_cheap(self.app)
        self.app.config["PROPAGATE_EXCEPTIONS"] = True  # so that a finding is a traceback, not a 500
        self._loop.run(self.app.startup())
        self.stranger = self._new_stranger()
        self.member = self._new_member()

    def answer(self, method: str, target: bytes, headers: Headers, body: bytes = b"") -> Answer:
        """Send one request as Hypercorn would hand it on.

        Raises:
            Exception: Whatever the application let through: a server would answer 500.
        """
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": ("10.0.0.9", 4711),
            "server": ("127.0.0.1", 8000),
            "extensions": {},
        }
        return self._loop.run(self._serve(scope, body))

    def post(self, path: bytes, sender: Sender, body: bytes, content_type: bytes = FORM_TYPE) -> Answer:
        headers = [(b"host", b"site.example"), (b"content-type", content_type), (b"cookie", sender.cookies)]
        return self.answer("POST", path, [*headers, (b"content-length", b"%d" % len(body))], body)

    def close(self) -> None:
        self._loop.run(self.app.shutdown())
        self._loop.close()
        self._folder.cleanup()

    async def _serve(self, scope: dict[str, Any], body: bytes) -> Answer:
        answer: Answer = Answer()
        to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        to_app.put_nowait({"type": "http.request", "body": body, "more_body": False})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert answer.status == 0, "two answers to one request"
                answer.status, answer.headers = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                answer.body += message.get("body", b"")
                if not message.get("more_body"):
                    to_app.put_nowait({"type": "http.disconnect"})  # some versions of Quart wait for it

        await self.app(scope, to_app.get, send)  # type: ignore[arg-type]  # a scope as servers make it
        return answer

    def _new_stranger(self) -> Sender:
        page = self.answer("GET", b"/login", [(b"host", b"site.example")])
        return Sender(page.cookies, page.form_token)

    def _new_member(self) -> Sender:
        fields = {"csrf_token": self.stranger.form_token, "username": "Alice", "password": PASSWORD}
        welcome = self.post(b"/register", self.stranger, urlencode(fields).encode())
        assert welcome.status == 302, welcome
        page = self.answer("GET", b"/account", [(b"host", b"site.example"), (b"cookie", welcome.cookies)])
        assert page.status == 200, page
        return Sender(welcome.cookies, page.form_token)


@cache
def fuzzed_app() -> FuzzedApp:
    """Return the one application of this process."""
    return FuzzedApp()


def close_fuzzed_app() -> None:
    """Close the application, if any target has opened it."""
    if fuzzed_app.cache_info().currsize:
        fuzzed_app().close()
        fuzzed_app.cache_clear()


def run_briefly(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing, without an event loop: some ten times quicker."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # what the coroutine returned
    work.close()
    raise AssertionError("this was not to wait for anything")


def _make_hashes_cheap(app: Quart) -> None:
    parts = get_accounts(app)
    parts.passwords.hashing.close()
    parts.passwords.hashing = PasswordHashing(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
