"""A JSON API for clients with bearer tokens.

A client sends its name and password once, to `POST /tokens`, and then the token with every request:
`Authorization: Bearer ...`. `DELETE /tokens/current` ends the token.
"""

import asyncio
import os
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from quart import Quart, request
from quart.typing import ResponseReturnValue

from quartlogin import (
    LoginManager,
    NoRecords,
    UserMixin,
    create_bearer_token,
    login_id,
    login_required,
    logout_user,
)

LIFETIME = timedelta(days=30)

hasher = PasswordHasher()


@dataclass(eq=False)
class User(UserMixin):
    """A user with notes."""

    id: str
    password_hash: str
    notes: list[str] = field(default_factory=list)


class EndedTokens(NoRecords):
    """The ids of ended tokens. A real app keeps them in its database."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def login_ended(self, login_id: str) -> None:
        """Record that this token is no longer valid."""
        self.ids.add(login_id)


def create_app() -> Quart:
    """Create the app, with one user."""
    app = Quart(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new key signs all users out
    users = {"ada": User("ada", hasher.hash("correct horse battery staple"))}
    ended = EndedTokens()
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.records = ended

    @login_manager.user_loader
    async def load_user(user_id: str) -> User | None:
        return None if login_id() in ended.ids else users.get(user_id)

    @login_manager.unauthorized_handler
    async def unauthorized() -> ResponseReturnValue:
        return {"error": "Send a token: Authorization: Bearer ..."}, 401, {"WWW-Authenticate": "Bearer"}

    @app.post("/tokens")
    async def make_token() -> ResponseReturnValue:
        asked = await request.get_json(silent=True) or {}
        user = users.get(str(asked.get("name")))
        if user is None or not await is_right(user, str(asked.get("password"))):
            return {"error": "Wrong name or password."}, 403
        return {"token": await create_bearer_token(user, duration=LIFETIME)}, 201

    @app.delete("/tokens/current")
    @login_required
    async def end_token() -> ResponseReturnValue:
        await logout_user()
        return "", 204

    @app.get("/notes")
    @login_required
    async def list_notes() -> ResponseReturnValue:
        return {"notes": login_manager.user.notes}

    @app.post("/notes")
    @login_required
    async def add_note() -> ResponseReturnValue:
        asked = await request.get_json(silent=True) or {}
        login_manager.user.notes.append(str(asked.get("text", "")))
        return {"notes": login_manager.user.notes}, 201

    return app


async def is_right(user: User, password: str) -> bool:
    """Check a password in a thread: it takes a tenth of a second, which would delay other requests."""
    try:
        return await asyncio.to_thread(hasher.verify, user.password_hash, password)
    except VerificationError:
        return False
