"""The helpers for the tests of an app with accounts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart import Quart

from client import KEY, Visitor
from quartlogin import ConfigurationError, current_user, login_required
from quartlogin.accounts import Accounts, NameTaken, get_accounts
from quartlogin.accounts.testing import PASSWORD, create_user, signed_in_client, use_cheap_hashes


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    made = Quart("shop", root_path=str(tmp_path))
    made.config["SECRET_KEY"] = KEY
    Accounts(made, database=str(tmp_path / "app.sqlite3"))
    use_cheap_hashes(made)

    @made.get("/me")
    @login_required
    async def me() -> str:
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
    assert len(await get_accounts(app).logins.list_of(user.get_id())) == 1
    assert (await Visitor(app.test_client()).get("/me")).status == 302


async def test_a_user_that_cannot_be_is_not_created(app: Quart) -> None:
    await create_user(app, "Ada")

    with pytest.raises(NameTaken):
        await create_user(app, "ADA")
    with pytest.raises(ValueError, match="username"):
        await create_user(app, "")


async def test_hashes_are_made_cheap_also_if_the_secret_key_comes_after_the_accounts(tmp_path: Path) -> None:
    app = Quart("shop", root_path=str(tmp_path))
    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"))
    with pytest.raises(ConfigurationError, match="secret key"):
        use_cheap_hashes(app)

    app.secret_key = KEY
    use_cheap_hashes(app)
    cheap = accounts.passwords.hashing
    async with app.test_app():
        await create_user(app, "Ada")

        assert accounts.passwords.hashing is cheap
