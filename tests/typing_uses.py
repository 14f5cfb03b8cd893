"""Typical uses of the package, for type checkers: nothing here runs. A test gives it to mypy, CI to pyright as well."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from quart import Blueprint, Quart, Request
from quart.typing import ResponseReturnValue

from quartlogin import (
    AnonymousUserMixin,
    Login,
    LoginManager,
    LoginRecords,
    NoRecords,
    QuartLoginClient,
    UserMixin,
    confirm_login,
    create_bearer_token,
    current_user,
    decode_cookie,
    encode_cookie,
    fresh_login_required,
    is_signed_in,
    login_exempt,
    login_fresh,
    login_id,
    login_remembered,
    login_required,
    login_url,
    login_user,
    logout_user,
    make_next_param,
    safe_next,
    set_login_view,
)


@dataclass(eq=False)
class User(UserMixin):
    """A user with a name."""

    id: str
    name: str


@dataclass(eq=False)
class Suspendable(UserMixin):
    """A user who may be suspended, as a field says."""

    id: int
    is_active: bool = True  # pyright: ignore[reportIncompatibleMethodOverride]  # a property there


class Records:
    """A record of logins that derives from nothing."""

    async def login_began(self, login: Login) -> None:
        """Take note of it."""

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        """Have the secret replaced."""
        return new_secret is not None and login.secret is not None

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Take note of it."""

    async def login_ended(self, login_id: str) -> None:
        """Take note of it."""


app = Quart(__name__)
shop = Blueprint("shop", __name__)
login_manager: LoginManager[User] = LoginManager(app, eager=False, require_login=False, import_flask_login=True)
another_manager = LoginManager[User]()
another_manager.init_app(app, add_context_processor=False)
login_manager.login_view = "login"
login_manager.session_protection = "strong"
login_manager.websocket_origins = {"https://app.example"}
login_manager.websocket_recheck = timedelta(minutes=1)
login_manager.records = Records()
login_manager.records = NoRecords()
records: LoginRecords = Records()
# Quart's own QuartClient does not match this either: its protocol asks for a `charset` in `set_cookie`.
app.test_client_class = QuartLoginClient  # type: ignore[assignment]


# --- callbacks: async def or def, and what they are afterwards --------------------------------------------------


@login_manager.user_loader
async def load_user(user_id: str) -> User | None:
    """Find a user."""
    return User(user_id, "Ada") if login_id() else None


@another_manager.user_loader
def load_user_in_a_thread(user_id: str) -> User | None:
    """Find a user."""
    return User(user_id, "Ada")


@login_manager.request_loader
async def load_user_from_request(request: Request) -> User | None:
    """Find a user by something else."""
    return await load_user(request.headers["X-User"])


@login_manager.unauthorized_handler
def refuse() -> ResponseReturnValue:
    """Turn a visitor away."""
    return "Sign in first.", 401


@login_manager.needs_refresh_handler
async def ask_again() -> ResponseReturnValue:
    """Ask for the password."""
    return {"error": "Type your password again."}, 401


# --- who is there -----------------------------------------------------------------------------------------------


@app.get("/")
async def home() -> str:
    """Greet whoever comes."""
    user = await login_manager.current_user
    assert_type(user, User | AnonymousUserMixin)
    if is_signed_in(user):
        return user.name
    return "stranger"


@app.get("/me")
@login_required
async def me() -> str:
    """Greet the user: without waiting, since the guard has loaded it."""
    assert_type(login_manager.user, User)
    return login_manager.user.name


@app.get("/thread")
@login_required
def in_a_thread() -> str:
    """Greet the user from a plain function."""
    return login_manager.user.name + str(current_user.name)


@app.get("/stream")
@login_required
async def stream() -> AsyncIterator[str]:
    """Greet the user in pieces."""
    yield login_manager.user.name


@app.get("/delete/<int:number>")
@fresh_login_required
async def delete(number: int) -> ResponseReturnValue:
    """Delete something, soon after the password was typed."""
    return {"deleted": number}


@app.get("/password")
@fresh_login_required(max_age=timedelta(minutes=5))
async def change_password() -> str:
    """Change the password, very soon after it was typed."""
    return ""


@app.websocket("/live")
@login_required
async def live() -> None:
    """Serve a websocket."""


@app.get("/terms")
@login_exempt
async def terms() -> str:
    """Show what everybody may read."""
    return ""


# --- signing in and out -----------------------------------------------------------------------------------------


@app.post("/login")
async def login() -> ResponseReturnValue:
    """Sign in, in all ways that there are."""
    user = User("1", "Ada")
    assert_type(await login_user(user), bool)
    await login_user(user, True, timedelta(days=7), False, True)
    await login_user(user, remember=True, duration=timedelta(days=7), force=False, fresh=True)
    await confirm_login()
    token: str = await create_bearer_token(user, duration=timedelta(days=30))
    target: str | None = safe_next("/account")
    return {"token": token, "next": target}


@app.post("/logout")
async def logout() -> ResponseReturnValue:
    """Sign out."""
    assert_type(await logout_user(), bool)
    return await login_manager.unauthorized()


async def helpers() -> tuple[str | bool | None, ...]:
    """Use everything that needs no waiting."""
    set_login_view("login", shop)
    cookie: str = encode_cookie("1", b"key")
    return (
        decode_cookie(cookie),
        login_fresh(),
        login_remembered(),
        login_id(),
        login_url("login", next_url="/account", next_field="next"),
        make_next_param("/login", "/account"),
    )


async def job() -> str:
    """Act as a user, outside of any request."""
    async with login_manager.as_user(User("1", "Ada")) as user:
        assert_type(user, User)
        return user.name
