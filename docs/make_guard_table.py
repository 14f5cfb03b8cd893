"""Request guarded pages as each kind of client, and print the responses as the table in guards.md.

python docs/make_guard_table.py
"""

import asyncio
from datetime import timedelta
from typing import Any

from quart import Quart, websocket
from quart.testing.connections import WebsocketResponseError

from quartlogin import (
    LoginManager,
    UserMixin,
    create_bearer_token,
    fresh_login_required,
    login_required,
    login_user,
)

GUARDS = {"login_required": login_required, "fresh_login_required": fresh_login_required}
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


class User(UserMixin):
    """A user with only an id."""

    def __init__(self, id: str) -> None:
        self.id = id


def make_app(guard: Any) -> Quart:
    """Create an app with one guarded page and one guarded websocket."""
    app = Quart("table")
    app.secret_key = "a key for a table, of more than 32 characters"
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "/login"
    login_manager.refresh_view = "/reauthenticate"

    @login_manager.user_loader
    async def load(user_id: str) -> User:
        return User(user_id)

    @app.get("/login/<fresh>")
    async def login(fresh: str) -> str:
        await login_user(User("1"), fresh=fresh == "fresh")
        return "signed in"

    @app.get("/token")
    async def token() -> str:
        return await create_bearer_token(User("1"), duration=timedelta(hours=1))

    @app.route("/page")
    @guard
    async def page() -> str:
        return "the page"

    @app.websocket("/socket")
    @guard
    async def socket() -> None:
        await websocket.send("the socket")

    return app


async def answers(guard: Any) -> dict[str, str]:
    """Send requests as every kind of client, and return the responses."""
    app = make_app(guard)
    visitor, stale, fresh = (app.test_client() for _ in range(3))
    await stale.get("/login/stale")
    await fresh.get("/login/fresh")
    token = await (await visitor.get("/token")).get_data(as_text=True)
    bearer = {"Authorization": f"Bearer {token}"}
    wrong = {"Authorization": "Bearer no-token-of-ours"}
    json = {"Accept": "application/json"}
    return {
        "a browser, not signed in": told(await visitor.get("/page", headers=BROWSER)),
        "a browser, signed in, not fresh": told(await stale.get("/page", headers=BROWSER)),
        "a browser, signed in, fresh": told(await fresh.get("/page", headers=BROWSER)),
        "no `Accept`, not signed in": told(await app.test_client().get("/page")),
        "`Accept: */*`, not signed in": told(await app.test_client().get("/page", headers={"Accept": "*/*"})),
        "`Accept: application/json`, not signed in": told(await visitor.get("/page", headers=json)),
        "`Accept: application/json`, signed in, not fresh": told(await stale.get("/page", headers=json)),
        "a good bearer token": told(await visitor.get("/page", headers=bearer)),
        "a good bearer token, and a fresh session": told(await fresh.get("/page", headers=bearer)),
        "a bad bearer token, and a fresh session": told(await fresh.get("/page", headers=wrong)),
        "a browser with a gateway's bearer token, not signed in": told(
            await visitor.get("/page", headers={**BROWSER, **wrong})
        ),
        "a browser with a gateway's bearer token, and a fresh session": told(
            await fresh.get("/page", headers={**BROWSER, **wrong})
        ),
        "`OPTIONS`, not signed in": told(await visitor.options("/page")),
        "a websocket, not signed in": await told_by_websocket(visitor),
        "a websocket, signed in, not fresh": await told_by_websocket(stale),
        "a websocket, signed in, fresh": await told_by_websocket(fresh),
        "a websocket opened by another site's page": await told_by_websocket(fresh, Origin="https://evil.example"),
    }


def told(response: Any) -> str:
    """Summarize a response."""
    where = response.headers.get("Location", "")
    challenge = response.headers.get("WWW-Authenticate", "")
    kind = "problem document" if response.content_type == "application/problem+json" else ""
    details = ", ".join(
        f"`{detail}`" if detail is not kind else detail for detail in (where, kind, challenge) if detail
    )
    return f"{response.status_code} {details}".strip()


async def told_by_websocket(client: Any, **headers: str) -> str:
    """Summarize the result of a websocket handshake."""
    try:
        async with client.websocket("/socket", headers=headers) as connection:
            return f"accepted, “{await connection.receive()}”"
    except WebsocketResponseError as refusal:
        return f"{refusal.response.status_code}, before it is accepted"


async def make_table() -> str:
    """Return the table."""
    columns = {name: await answers(guard) for name, guard in GUARDS.items()}
    lines = ["| client | " + " | ".join(f"`{name}`" for name in columns) + " |", "|---|" + "---|" * len(columns)]
    for client in next(iter(columns.values())):
        lines.append(f"| {client} | " + " | ".join(told[client] for told in columns.values()) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(asyncio.run(make_table()), end="")
