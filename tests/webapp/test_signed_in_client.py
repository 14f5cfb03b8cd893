"""`QuartLoginClient` with the application: its login is on record, and can be revoked."""

import pytest
from quart import Quart

from client import Visitor, add_user
from quartlogin import QuartLoginClient


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("fresh_login", [True, False])
async def test_a_test_client_comes_signed_in_to_the_application(app: Quart, scheme: str, fresh_login: bool) -> None:
    user = await add_user(app, "Alice")
    alice = Visitor(QuartLoginClient(app, user=user, fresh_login=fresh_login))

    account = await alice.get("/account", scheme=scheme)
    password = await alice.get("/account/password", scheme=scheme)

    assert (account.status, "Alice" in account.text) == (200, True)
    assert password.status == (200 if fresh_login else 302)


async def test_the_login_of_a_test_client_is_on_record_and_can_be_ended(app: Quart) -> None:
    user = await add_user(app, "Alice")
    client = QuartLoginClient(app, user=user)
    alice, on_phone = Visitor(client), Visitor(QuartLoginClient(app, user=user))
    await on_phone.get("/account")
    account = await alice.get("/account")

    await alice.post("/account/logins/revoke-others", {"csrf_token": account.token})

    assert (await alice.get("/account")).status == 200
    assert (await on_phone.get("/account")).status == 302
