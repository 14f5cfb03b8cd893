"""The helpers for the tests of an app with accounts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from quart import Quart
from test_app_users import People

from client import CHEAP, KEY, Visitor
from databases import both_databases
from quartlogin import current_user, login_required
from quartlogin.accounts import Accounts, NameTaken, get_accounts
from quartlogin.accounts.testing import PASSWORD, create_user, signed_in_client, use_cheap_hashes


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    made = Quart("shop", root_path=str(tmp_path))
    made.config["SECRET_KEY"] = KEY
    accounts = Accounts(made, database=str(tmp_path / "app.sqlite3"))
    use_cheap_hashes(made)

    @made.get("/me")
    @login_required
    async def me() -> str:
        return str(current_user.username)

    @made.get("/password")
    @accounts.requires("password", within=timedelta(minutes=1))
    async def password() -> str:
        return str(current_user.username)

    async with made.test_app():
        yield made


async def test_a_created_user_can_sign_in(app: Quart) -> None:
    await create_user(app, "Ada")

    visitor = Visitor(app.test_client())
    await visitor.sign_in("ada", PASSWORD)

    assert (await visitor.get("/me")).text == "Ada"


async def test_a_client_is_signed_in_with_a_login_on_record(app: Quart) -> None:
    user = await create_user(app, "Ada")

    ada = Visitor(signed_in_client(app, user))

    assert (await ada.get("/me")).text == "Ada"
    assert (await ada.get("/password")).text == "Ada"
    assert len(await get_accounts(app).logins.list_of(user.get_id())) == 1
    assert (await Visitor(app.test_client()).get("/me")).status == 302


async def test_a_user_that_cannot_be_is_not_created(app: Quart) -> None:
    await create_user(app, "Ada")

    with pytest.raises(NameTaken):
        await create_user(app, "ADA")
    with pytest.raises(ValueError, match="username"):
        await create_user(app, "")


@pytest.mark.parametrize("comes_first", ["secret key", "users", "neither"])
async def test_cheap_hashes_stay_cheap_whatever_is_set_later(tmp_path: Path, comes_first: str) -> None:
    app = Quart("shop", root_path=str(tmp_path))
    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"))
    steps = {
        "secret key": lambda: app.config.update(SECRET_KEY=KEY),
        "users": lambda: accounts.users(People(tmp_path / "people.sqlite3")),
    }
    if first := steps.pop(comes_first, None):
        first()
    use_cheap_hashes(app)
    for step in steps.values():
        step()

    async with app.test_app():
        hashed = await accounts.passwords.hashing.hash(PASSWORD)

    assert not CHEAP.check_needs_rehash(hashed)


@both_databases
def test_an_app_can_be_started_again(tmp_path: Path, database: str) -> None:
    """As an app at the top of a module is, by each test."""
    app = Quart("shop", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=database)
    use_cheap_hashes(app)

    async def begin(name: str) -> int:
        async with app.test_app():
            await create_user(app, name)
            visitor = Visitor(app.test_client())
            await visitor.sign_in(name, PASSWORD)
            return (await visitor.get("/account")).status

    assert [asyncio.run(begin(name)) for name in ("Ada", "Grace")] == [200, 200]
