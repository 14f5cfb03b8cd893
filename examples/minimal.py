"""A minimal app in one file: one user, a login page, a page for signed-in users.

Start it with `hypercorn examples.minimal:app` and open http://127.0.0.1:8000/me.
"""

import asyncio
import os
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from quart import Quart, redirect, request
from quart.typing import ResponseReturnValue

from quartlogin import LoginManager, UserMixin, login_required, login_user, logout_user, safe_next

app = Quart(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new key signs all users out
login_manager: "LoginManager[User]" = LoginManager(app)
login_manager.login_view = "login"
hasher = PasswordHasher()


@dataclass(eq=False)
class User(UserMixin):
    """A user with a password."""

    id: str
    password_hash: str


USERS = {"ada": User("ada", hasher.hash("correct horse battery staple"))}

FORM = """
<form method="post">
  <p>{}</p>
  <input name="name" value="ada"> <input name="password" type="password">
  <button>Sign in</button>
</form>
"""


@login_manager.user_loader
async def load_user(user_id: str) -> User | None:
    """Find a user by id."""
    return USERS.get(user_id)


async def is_right(user: User, password: str) -> bool:
    """Check a password in a thread: it takes a tenth of a second, which would delay other requests."""
    try:
        return await asyncio.to_thread(hasher.verify, user.password_hash, password)
    except VerificationError:
        return False


@app.get("/login")
async def login() -> str:
    """Show the form."""
    return FORM.format("Who are you?")


@app.post("/login")
async def sign_in() -> ResponseReturnValue:
    """Check the form, and sign the user in."""
    form = await request.form
    user = USERS.get(form.get("name", ""))
    if user is None or not await is_right(user, form.get("password", "")):
        return FORM.format("Wrong name or password."), 422
    await login_user(user)
    return redirect(safe_next(request.args.get("next")) or "/me")


@app.get("/me")
@login_required
async def me() -> str:
    """Greet the user."""
    return f'Hello, {login_manager.user.id}. <form method="post" action="/logout"><button>Sign out</button></form>'


@app.post("/logout")
async def logout() -> ResponseReturnValue:
    """Sign the user out."""
    await logout_user()
    return redirect("/login")
