"""An app with its own users, in SQLAlchemy: integer ids, e-mail addresses, Werkzeug's hashes, an own layout.

The users table has no column for the accounts: passwords, logins and tokens are in the accounts' tables, in the same
database. Customers from before the accounts keep their passwords (`customers.sql`), and registration has one more
field. Install `SQLAlchemy[asyncio]`, start the app in the folder of the repository with
`hypercorn 'examples.accounts.shop.app:create_app()'`, and open http://127.0.0.1:8000.
"""

import os
import secrets
from collections.abc import Mapping
from typing import Any

from quart import Quart, render_template
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from wtforms import Form, StringField
from wtforms.validators import InputRequired, Length

from quartlogin import UserMixin, login_required
from quartlogin.accounts import Accounts, ApiTokens, Deletion, FieldError, Logins, NameTaken, Passwords, Registration

#: How the customers' passwords were hashed: unknown addresses take as long to answer.
OLD_SCHEMES = ["scrypt:32768:8:1", "pbkdf2:sha256:600000"]


class Model(DeclarativeBase):
    """What the tables have in common."""


class Customer(UserMixin, Model):
    """A user."""

    __tablename__ = "customers"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 -- SQLAlchemy reads it; no id is used twice

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(unique=True)
    nickname: Mapped[str]
    blocked: Mapped[bool] = mapped_column(default=False)
    #: Werkzeug's, of a customer from before the accounts who has not signed in since.
    password_hash: Mapped[str | None]

    @property
    def is_active(self) -> bool:
        """A blocked customer is signed out everywhere."""
        return not self.blocked


class SignUp(Form):  # type: ignore[misc]  # WTForms ships no types
    """The field that registration has beside address and password."""

    nickname = StringField("Nickname", [InputRequired("Enter a nickname."), Length(max=40)])


class Customers:
    """The users, as the accounts ask for them."""

    table = "customers"
    name_label = "E-mail address"

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def by_id(self, user_id: str) -> Customer | None:
        """Find a customer by id."""
        async with self._sessions() as database:
            return await database.get(Customer, int(user_id))

    async def by_ids(self, user_ids: list[str]) -> dict[str, Customer]:
        """Find many customers, in one statement for all requests that wait."""
        numbers = [int(user_id) for user_id in user_ids]
        async with self._sessions() as database:
            found = await database.scalars(select(Customer).where(Customer.id.in_(numbers)))
            return {customer.get_id(): customer for customer in found}

    async def by_name(self, name: str) -> Customer | None:
        """Find a customer by address."""
        async with self._sessions() as database:
            return await database.scalar(select(Customer).where(Customer.address == name))

    async def create(self, name: str, fields: Mapping[str, Any]) -> Customer:
        """Add a customer."""
        if "@" not in name:
            raise FieldError("username", "Enter an e-mail address.")
        customer = Customer(address=name, nickname=fields["nickname"])
        try:
            async with self._sessions.begin() as database:
                database.add(customer)
        except IntegrityError as error:
            raise NameTaken from error
        return customer

    async def delete(self, user: Customer) -> None:
        """Delete a customer."""
        async with self._sessions.begin() as database:
            await database.delete(user)

    def name_of(self, user: Customer) -> str:
        """Return what pages show."""
        return user.address

    def old_password_hash(self, user: Customer) -> str | None:
        """Return the hash from before the accounts."""
        return user.password_hash

    async def empty_old_password(self, user: Customer) -> None:
        """Forget that hash: the accounts have their own of this password now."""
        if user.password_hash is not None:
            async with self._sessions.begin() as database:
                (await database.merge(user)).password_hash = None


def create_app(database: str = "shop.sqlite3") -> Quart:
    """Create the app on a SQLite file."""
    app = Quart(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new one signs everybody out
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    accounts = Accounts(
        app,
        database=database,
        features=[Passwords(old_schemes=OLD_SCHEMES), Logins(), Registration(form=SignUp), ApiTokens(), Deletion()],
        site_name="Tea shop",
        home="home",
        page_after_login="orders",
    )
    customers = accounts.users(Customers(async_sessionmaker(engine, expire_on_commit=False)))
    accounts.after_sign_in(customers.empty_old_password)

    @app.before_serving
    async def create_tables() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Model.metadata.create_all)

    @app.after_serving
    async def close_connections() -> None:
        await engine.dispose()

    @app.get("/")
    async def home() -> str:
        return await render_template("home.html")

    @app.get("/orders")
    @login_required
    async def orders() -> str:
        return await render_template("orders.html")

    return app
