"""A browser without a screen, and what the tests of the application have in common."""

import re
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from argon2 import PasswordHasher
from quart import Quart
from quart.testing import QuartClient

from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.models import NewUser, User
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.accounts.usernames import display_name, normalize_username

KEY = "a key for tests, of more than 32 characters"
PASSWORD = "correct horse battery staple"
WRONG = "not the right password"

#: Some 10,000 times cheaper than the default; the default's own tests use the default.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True)
class Page:
    """An answer, as a test looks at it."""

    status: int
    text: str
    headers: Any

    @property
    def location(self) -> str | None:
        return self.headers.get("Location")

    @property
    def token(self) -> str:
        return re.search(r'name="csrf_token" value="([0-9a-f]{64})"', self.text)[1]  # type: ignore[index]

    def errors_beside(self, field: str) -> str:
        found = re.search(rf'id="{field}-error"[^>]*>([^<]*)<', self.text)
        return found[1] if found else ""


class Visitor:
    """A browser without a screen: it keeps cookies and fills in forms."""

    def __init__(self, client: QuartClient) -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> Page:
        return await self.request("GET", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> Page:
        answer = await self.client.open(path, method=method, **options)
        body = await answer.get_data(as_text=False)
        return Page(answer.status_code, body.decode("utf-8", "replace"), answer.headers)

    async def post(self, path: str, fields: dict[str, str], **options: Any) -> Page:
        return await self.request("POST", path, form=fields, **options)

    async def fill_in(self, path: str, **fields: str) -> Page:
        """Open a page and send its form."""
        page = await self.get(path)
        return await self.post(path.partition("?")[0], {"csrf_token": page.token, **fields})

    async def register(self, username: str = "Alice", password: str = PASSWORD) -> Page:
        return await self.fill_in("/register", username=username, password=password)

    async def sign_in(self, username: str = "Alice", password: str = PASSWORD) -> Page:
        return await self.fill_in("/login", username=username, password=password)

    async def sign_out(self) -> Page:
        return await self.fill_in("/logout")

    async def is_signed_in(self) -> bool:
        return (await self.get("/account")).status == 200

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self.client.cookie_jar or ()}


async def guess(app: Quart, username: str = "Alice", password: str = WRONG, address: str = "192.0.2.1") -> Page:
    """Somebody without any cookies tries a password."""
    visitor = Visitor(app.test_client())
    page = await visitor.get("/login")
    fields = {"csrf_token": page.token, "username": username, "password": password}
    return await visitor.post("/login", fields, scope_base={"client": (address, 1)})


def with_cheap_hashes(app: Quart) -> Quart:
    parts = get_accounts(app)
    parts.passwords.hashing.close()
    parts.passwords.hashing = PasswordHashing(CHEAP)
    return app


async def add_user(app: Quart, username: str, password: str = PASSWORD) -> User:
    """Make an account without a visitor."""
    parts = get_accounts(app)
    user = User(token_urlsafe(16), display_name(username))
    new = NewUser(user, normalize_username(username) or "", await parts.passwords.hashing.hash(password))
    await parts.store.users.add(new, parts.audit_log.event("registered", new.user.id))
    return new.user


async def set_active(app: Quart, username: str, *, active: bool) -> None:
    """Disable or enable an account, as the command line does."""
    parts = get_accounts(app)
    found = await parts.store.users.find_credentials(username.lower())
    assert found is not None
    event = parts.audit_log.event("user_enabled" if active else "user_disabled", found.user.id)
    assert await parts.store.users.set_active(found.user.id, event, active=active)
