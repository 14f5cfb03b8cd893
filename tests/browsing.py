"""What the tests of docs/security.md share: a browser behind https, and a look at everything that is stored."""

from typing import Any

from quart import Quart

from databases import run_sql
from visitors import PASSWORD, Page, Visitor


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
        "logins": "id_hash, ref, user_id, kind, epoch, name, secrets, made_at, expires_at",
        "events": "*",
    }
    return {
        name: sorted(run_sql(database, f"SELECT {columns} FROM {name}"), key=str) for name, columns in tables.items()
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
