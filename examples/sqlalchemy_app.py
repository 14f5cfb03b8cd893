"""An app with its own SQLAlchemy models: users, and a record of their logins.

A cookie that was copied before a logout is invalid after it: the login's row is deleted, and `load_user` selects the
user and the login in one query.

The loader and the views share the request's session, so that a view can change `current_user` and commit. Only the
record of logins opens its own sessions: a login begins and ends at once, whether or not the view commits.

Start it with `hypercorn 'examples.sqlalchemy_app:create_app()'` and open http://127.0.0.1:8000.
"""

import asyncio
import hashlib
import os
import secrets
import time
import uuid
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from quart import Quart, current_app, g, redirect, render_template_string, request
from quart.typing import ResponseReturnValue
from sqlalchemy import ForeignKey, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartlogin import (
    Login,
    LoginManager,
    LoginRefused,
    UserMixin,
    login_id,
    login_required,
    login_user,
    logout_user,
    safe_next,
)

REMEMBERED = timedelta(days=30)
#: How long a remember cookie is valid after its replacement: the response with the new one may be lost.
GRACE = timedelta(seconds=30)

PAGE = """
<p>Hello, {{ current_user.name }}. Active sign-ins: {{ places }}.</p>
<form method="post" action="/name"><input name="name"> <button>Change my name</button></form>
<form method="post" action="/logout"><button>Sign out</button></form>
"""
FORM = """
<form method="post">
  <p>{{ message }}</p>
  <input name="name"> <input name="password" type="password">
  <label><input name="remember" type="checkbox"> Remember me</label>
  <button>{{ button }}</button>
</form>
"""

hasher = PasswordHasher()


class Model(DeclarativeBase):
    """The base class of the tables."""


class User(UserMixin, Model):
    """An account."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: uuid.uuid4().hex)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class SignIn(Model):
    """An active login. Only hashes of its id and secrets are stored."""

    __tablename__ = "logins"

    id_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    secret_hash: Mapped[str | None]
    former_secret_hash: Mapped[str | None]
    replaced_at: Mapped[int] = mapped_column(default=0)  # seconds since 1970


Sessions = async_sessionmaker[AsyncSession]


class Records:
    """The record of logins, in the table `logins`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def login_began(self, login: Login) -> None:
        """Add a row; refuse the login if there is no user with this id."""
        async with self._sessions.begin() as database:
            if await database.get(User, login.user_id) is None:
                raise LoginRefused(login.user_id)
            database.add(
                SignIn(id_hash=digest(login.id), user_id=login.user_id, secret_hash=digest_or_none(login.secret))
            )

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        """Accept the current secret, and the previous one for a moment; replace the current one."""
        given, now = digest(login.secret or ""), int(time.time())
        is_present = SignIn.secret_hash == given
        is_former = (SignIn.former_secret_hash == given) & (SignIn.replaced_at > now - GRACE.total_seconds())
        this_login = SignIn.id_hash == digest(login.id)
        async with self._sessions.begin() as database:
            found = await database.scalar(select(SignIn.id_hash).where(this_login, or_(is_present, is_former)))
            if found is None:  # the cookie was copied, or the login has ended
                await database.execute(delete(SignIn).where(this_login))
            elif new_secret is not None:
                changed = update(SignIn).where(this_login, is_present).returning(SignIn.id_hash)
                new = {"secret_hash": digest(new_secret), "former_secret_hash": given, "replaced_at": now}
                return await database.scalar(changed.values(new)) is not None
        if found is None:
            raise LoginRefused(login.user_id)
        return False

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Give the login its new id."""
        new = {"id_hash": digest(login.id), "secret_hash": digest_or_none(login.secret)}
        async with self._sessions.begin() as database:
            await database.execute(update(SignIn).where(SignIn.id_hash == digest(old_id)).values(new))

    async def login_ended(self, login_id: str) -> None:
        """Delete the row."""
        async with self._sessions.begin() as database:
            await database.execute(delete(SignIn).where(SignIn.id_hash == digest(login_id)))


def create_app(url: str = "sqlite+aiosqlite:///people.sqlite3") -> Quart:
    """Create the app with a database."""
    app = Quart(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new key signs all users out
    app.config["REMEMBER_COOKIE_DURATION"] = REMEMBERED
    engine = create_async_engine(url)
    sessions: Sessions = async_sessionmaker(engine, expire_on_commit=False)  # templates show the user after a commit
    app.extensions["sessions"] = sessions
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "login"
    login_manager.records = Records(sessions)

    @app.before_serving
    async def create_tables() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Model.metadata.create_all)

    @app.after_serving
    async def close_connections() -> None:
        await engine.dispose()

    @app.teardown_appcontext
    async def close_session(_: BaseException | None) -> None:
        session = g.pop("database", None)
        if session is not None:
            await session.close()

    @login_manager.user_loader
    async def load_user(user_id: str) -> User | None:
        query = select(User).join(SignIn, SignIn.user_id == User.id)
        return await database().scalar(query.where(User.id == user_id, SignIn.id_hash == digest(login_id() or "")))

    @app.get("/")
    @login_required
    async def home() -> str:
        places = await database().scalars(select(SignIn).where(SignIn.user_id == login_manager.user.id))
        return await render_template_string(PAGE, places=len(places.all()))

    @app.post("/name")
    @login_required
    async def rename() -> ResponseReturnValue:
        login_manager.user.name = (await request.form)["name"]
        await database().commit()
        return redirect("/")

    add_registration(app)
    add_sign_in(app)
    return app


def database() -> AsyncSession:
    """Return the session of this request; it is opened on first use, and closed when the request ends."""
    if "database" not in g:
        g.database = current_app.extensions["sessions"]()
    session: AsyncSession = g.database
    return session


def add_registration(app: Quart) -> None:
    """Add the registration page."""

    @app.get("/register")
    async def register() -> str:
        return await render_template_string(FORM, message="Choose a name and a password.", button="Register")

    @app.post("/register")
    async def add_user() -> ResponseReturnValue:
        form = await request.form
        user = User(name=form["name"], password_hash=await asyncio.to_thread(hasher.hash, form["password"]))
        database().add(user)
        try:
            await database().commit()
        except IntegrityError:
            await database().rollback()
            return await render_template_string(FORM, message="That name is taken.", button="Register"), 422
        await login_user(user)
        return redirect("/")


def add_sign_in(app: Quart) -> None:
    """Add the pages to sign in and out."""

    @app.get("/login")
    async def login() -> str:
        return await render_template_string(FORM, message="Who are you?", button="Sign in")

    @app.post("/login")
    async def sign_in() -> ResponseReturnValue:
        form = await request.form
        user = await database().scalar(select(User).where(User.name == form["name"]))
        if not await is_right(user, form["password"]) or user is None:
            return await render_template_string(FORM, message="Wrong name or password.", button="Sign in"), 422
        await login_user(user, remember="remember" in form)
        return redirect(safe_next(request.args.get("next")) or "/")

    @app.post("/logout")
    async def logout() -> ResponseReturnValue:
        await logout_user()
        return redirect("/login")


#: The hash that a password is checked against if the name is unknown, so that the response takes as long.
NOBODY = hasher.hash(uuid.uuid4().hex)


async def is_right(user: User | None, password: str) -> bool:
    """Check a password in a thread: it takes a tenth of a second, which would delay other requests."""
    try:
        return await asyncio.to_thread(hasher.verify, NOBODY if user is None else user.password_hash, password)
    except VerificationError:
        return False


def digest(secret: str) -> str:
    """Return the hash of an id or a secret; 192 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def digest_or_none(secret: str | None) -> str | None:
    """Return the hash of a secret, or `None` if there is none."""
    return None if secret is None else digest(secret)
