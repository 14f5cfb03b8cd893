"""`check_csrf`: the CSRF token of an app's own forms."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, render_template_string, request

from client import KEY, Visitor
from quartlogin import create_bearer_token, login_required
from quartlogin.accounts import Accounts, check_csrf
from quartlogin.accounts.testing import PASSWORD, create_user, signed_in_client, use_cheap_hashes

FORM = "{{ accounts.csrf_field() }}"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    """An app whose forms are checked, and where anybody can vote."""
    app = Quart("shop", root_path=str(tmp_path))
    app.secret_key = KEY
    Accounts(app, database=str(tmp_path / "app.sqlite3"))
    use_cheap_hashes(app)
    app.before_request(check_csrf)

    @app.route("/vote", methods=["GET", "POST"])
    async def vote() -> str:
        return await render_template_string(FORM) if request.method == "GET" else "counted"

    @app.post("/order")
    @login_required
    async def order() -> str:
        return "ordered"

    async with app.test_app():
        yield app


async def token_of(client: Any) -> str:
    page = await (await client.get("/vote")).get_data(as_text=True)
    return re.search(r'value="(\w+)"', page)[1]


async def status(client: Any, path: str = "/vote", **form: str) -> int:
    return (await client.post(path, form=form)).status_code


async def test_csrf_a_form_of_the_app_needs_the_token_of_its_session(app: Quart, logged: Callable[[], Any]) -> None:
    mine, other = app.test_client(), app.test_client()
    token = await token_of(mine)

    assert await status(mine, csrf_token=token) == 200
    assert [await status(mine), await status(mine, csrf_token=await token_of(other))] == [400, 400]
    assert [line["event"] for line in logged()] == ["csrf_rejected"] * 2


async def test_csrf_a_token_from_before_the_sign_in_is_refused(app: Quart) -> None:
    await create_user(app, "ada")
    client = app.test_client()
    token = await token_of(client)

    await Visitor(client).sign_in("ada", PASSWORD)

    assert await status(client, csrf_token=token) == 400
    assert await status(client, csrf_token=await token_of(client)) == 200


async def test_csrf_a_form_with_a_file_is_checked_as_well(app: Quart) -> None:
    client = app.test_client()
    body = {"csrf_token": await token_of(client)}
    boundary = "----b"

    async def upload(fields: dict[str, str]) -> int:
        parts = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return (await client.post("/vote", data=f"{parts}--{boundary}--\r\n".encode(), headers=headers)).status_code

    assert [await upload(body), await upload({"other": "x"})] == [200, 400]


@pytest.mark.parametrize("body", [b"\xff=\xff", b"csrf_token", b"csrf_token=%ff", b"csrf_token=%00", b"{}"])
async def test_a_body_that_is_no_form_is_refused(app: Quart, body: bytes) -> None:
    client = app.test_client()
    await token_of(client)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    assert (await client.post("/vote", data=body, headers=headers)).status_code == 400


async def test_csrf_a_bearer_token_needs_no_form_token(app: Quart) -> None:
    user = await create_user(app, "ada")
    async with app.app_context():
        bearer = await create_bearer_token(user, duration=timedelta(minutes=1))
    header = {"Authorization": f"Bearer {bearer}"}

    assert (await app.test_client().post("/order", headers=header)).status_code == 200
    assert await status(signed_in_client(app, user), "/order") == 400
