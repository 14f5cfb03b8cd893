"""The floor: the leanest Quart app that does the same by hand, with Quart's session and one statement by key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite
from quart import Quart, render_template, session

TEMPLATES: Final = Path(__file__).parent / "templates"
KEY: Final = "a key for benchmarks, of more than 32 characters"


@dataclass(frozen=True)
class User:
    """A user, signed in or not."""

    username: str = ""
    is_authenticated: bool = False


ANONYMOUS: Final = User()


def make_floor(database: str) -> Quart:
    """Create the app, which reads its users from an SQLite file."""
    app = Quart("floor", template_folder=str(TEMPLATES))
    app.secret_key = KEY
    connections: list[aiosqlite.Connection] = []

    @app.before_serving
    async def connect() -> None:
        connections.append(await aiosqlite.connect(database))

    @app.after_serving
    async def disconnect() -> None:
        await connections.pop().close()

    @app.get("/public")
    async def public() -> str:
        return await render_template("public.html")

    @app.get("/home")
    async def home() -> str:
        return await render_template("home.html", current_user=await find_user(session.get("user_id")))

    async def find_user(user_id: str | None) -> User:
        if user_id is None:
            return ANONYMOUS
        [connection] = connections
        rows = [*await connection.execute_fetchall("SELECT username FROM quartlogin_users WHERE id = ?", (user_id,))]
        return User(rows[0][0], is_authenticated=True) if rows else ANONYMOUS

    return app


def add_pages(app: Quart) -> None:
    """Add both pages to an app whose templates have a `current_user`."""

    @app.get("/public")
    async def public() -> str:
        return await render_template("public.html")

    @app.get("/home")
    async def home() -> str:
        return await render_template("home.html")


def make_bare() -> Quart:
    """Create an app with the same public page without a session, for the cost of Quart alone."""
    app = Quart("bare", template_folder=str(TEMPLATES))

    @app.get("/public")
    async def public() -> str:
        return await render_template("public.html")

    @app.get("/home")
    async def home() -> str:
        return await render_template("home.html", current_user=User("Ada", is_authenticated=True))

    return app
