"""Requests with two users' credentials: a refused login shows nothing to the user whom another credential names."""

from typing import Any

from quart import Quart

from client import KEY, PASSWORD, Visitor
from quartlogin.accounts import Accounts
from quartlogin.accounts.testing import create_user, use_cheap_hashes


async def test_access_control_a_used_up_remember_cookie_beside_another_users_key_shows_neither_account(
    tmp_path: Any, now: list[float]
) -> None:
    app = Quart("shop")
    app.config["SECRET_KEY"] = KEY
    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"))
    use_cheap_hashes(app)
    keys: dict[str, Any] = {}

    @accounts.login_manager.request_loader
    async def by_key(request: Any) -> Any:
        return keys.get(request.headers.get("X-API-Key"))

    async with app.test_app():
        await create_user(app, "ada", password=PASSWORD)
        keys["eve's"] = await create_user(app, "eve")
        ada = Visitor(app.test_client())
        await ada.fill_in("/login", username="ada", password=PASSWORD, remember="y")
        [name] = [name for name in ada.cookies if "remember" in name]
        copy = ada.cookies[name]
        ada.client.delete_cookie("localhost", "session")
        await ada.get("/account")  # replaces the cookie
        now[0] += 60
        eve = Visitor(app.test_client())
        eve.client.set_cookie("localhost", name, copy)

        shown = await eve.get("/account", headers={"X-API-Key": "eve's"})

    assert "ada" not in shown.text
    assert shown.status in {302, 401}
