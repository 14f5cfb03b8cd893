"""A browser without a screen, and what the tests of the application have in common."""

import re
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from argon2 import PasswordHasher
from quart import Quart
from quart.testing import QuartClient

from databases import run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.models import NewUser, User
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.accounts.users.own import display_name, normalize_username

KEY = "a key for tests, of more than 32 characters"
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "another staple, another horse"
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


async def change_password(visitor: Visitor, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Page:
    return await visitor.fill_in("/account/password", current_password=current, new_password=new)


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
    assert await parts.store.accounts.set_enabled(found.user.id, event, enabled=active)


class SecureVisitor(Visitor):
    """A browser that comes over https, and keeps every answer."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.pages: list[Page] = []

    async def request(self, method: str, path: str, **options: Any) -> Page:
        page = await super().request(method, path, **{"scheme": "https", **options})
        self.pages.append(page)
        return page

    @property
    def set_cookies(self) -> list[str]:
        """Every `Set-Cookie` that came so far."""
        return [line for page in self.pages for line in page.headers.getlist("Set-Cookie")]


async def live_a_whole_life(visitor: Visitor) -> None:
    """Do everything that there is to do, from registering to deleting the account."""
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.sign_in("Alice", "not the right password")
    await visitor.fill_in("/login?next=/account", username="Alice", password=PASSWORD, remember="y", next="/account")
    for name in [name for name in visitor.cookies if name.endswith("quartlogin")]:
        visitor.client.delete_cookie("localhost", name)  # the browser was closed
    await visitor.get("/")
    await visitor.get("/account")
    await visitor.fill_in("/reauthenticate", password=PASSWORD)
    account = await visitor.get("/account")
    await visitor.post("/account/tokens", {"csrf_token": account.token, "name": "backup"})
    await visitor.post("/account/logins/revoke-others", {"csrf_token": account.token})
    await visitor.get("/nowhere")
    await visitor.get("/api/me")
    await visitor.fill_in("/account/password", current_password=PASSWORD, new_password=PASSWORD[::-1])
    await visitor.get("/account")
    await visitor.fill_in("/account/delete", password=PASSWORD[::-1])
    await visitor.get("/")


def everything_stored(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, but for when a sign-in was seen last."""
    tables = {
        "users": "*",
        "accounts": "*",
        "passwords": "*",
        "logins": "id_hash, public_id, user_id, kind, security_stamp, name, secrets, made_at, expires_at",
        "events": "*",
    }
    return {
        name: sorted(run_sql(database, f"SELECT {columns} FROM quartlogin_{name}"), key=str)
        for name, columns in tables.items()
    }


def header_of(cookies: dict[str, str]) -> dict[str, str]:
    """The header with which a browser sends these cookies."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def who_is(app: Quart, **headers: str) -> str:
    """Ask who the sender of these headers is; "nobody" if the application knows none."""
    answer = await app.test_client(use_cookies=False).get("/api/me", headers={"Accept": "application/json", **headers})
    assert answer.status_code in {200, 401}, await answer.get_data(as_text=True)
    return (await answer.get_json())["username"] if answer.status_code == 200 else "nobody"


async def make_token(visitor: Visitor, name: str = "backup") -> str:
    """Make an API token on the account page."""
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": name})
    return made.text.partition('id="new-token"')[2].partition("<code>")[2].partition("</code>")[0]
