"""The users table of both apps, in raw SQL on PostgreSQL, and the accounts that they share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from quart import Quart

from quartlogin import UserMixin
from quartlogin.accounts import Accounts, FieldError, NameTaken, UserColumns


@dataclass
class Member(UserMixin):
    """A user."""

    id: int
    email: str


class Members:
    """The users, as the accounts ask for them. Both apps give the same `table`.

    Args:
        database: The address of the PostgreSQL server.
    """

    table = "team.members"
    name_label = "E-mail address"
    columns = UserColumns("team.members", "id", ("id", "email"), make=Member, id_type="BIGINT")

    def __init__(self, database: str) -> None:
        self._database = database

    async def connect(self) -> None:
        """Open the connections."""
        self._pool = await asyncpg.create_pool(self._database, min_size=1)

    async def disconnect(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def by_id(self, user_id: str) -> Member | None:
        """Find a member by id."""
        return (await self.by_ids([user_id])).get(user_id)

    async def by_ids(self, user_ids: list[str]) -> dict[str, Member]:
        """Find many members, in one statement for all requests that wait."""
        numbers = [int(user_id) for user_id in user_ids]
        rows = await self._pool.fetch("SELECT id, email FROM team.members WHERE id = ANY($1)", numbers)
        return {str(row["id"]): Member(**row) for row in rows}

    async def by_name(self, name: str) -> Member | None:
        """Find a member by address."""
        row = await self._pool.fetchrow("SELECT id, email FROM team.members WHERE email = $1", name)
        return None if row is None else Member(**row)

    async def create(self, name: str, fields: Mapping[str, Any]) -> Member:  # noqa: ARG002 -- there are no more fields
        """Add a member."""
        if "@" not in name:
            raise FieldError("username", "Enter an e-mail address.")
        try:
            row = await self._pool.fetchrow("INSERT INTO team.members (email) VALUES ($1) RETURNING id, email", name)
        except asyncpg.UniqueViolationError as error:
            raise NameTaken from error
        return Member(**row)

    def name_of(self, user: Member) -> str:
        """Return what pages show."""
        return user.email


def add_accounts(app: Quart, site_name: str) -> Accounts:
    """Join the shared accounts to one of the apps.

    Both have the same host, `DATABASE_URL`, `SECRET_KEY` and audience, so that a sign-in at one counts in the other.
    """
    app.secret_key = os.environ["SECRET_KEY"]
    database = os.environ["DATABASE_URL"]
    members = Members(database)
    app.before_serving(members.connect)  # before the accounts start
    accounts = Accounts(app, database=database, users=members, audience="team", site_name=site_name, home="home")
    app.after_serving(members.disconnect)  # after they have ended
    return accounts
