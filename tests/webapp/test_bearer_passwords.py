"""Password oracle: no page verifies a password sent with a bearer token; the response is a step-up (RFC 9470)."""

from collections.abc import Callable

import pytest

from client import PASSWORD, WRONG, Visitor, make_token
from databases import run_sql

FIELDS = {"password": PASSWORD, "current_password": PASSWORD, "new_password": "another staple, another horse"}
STEP_UP = 'Bearer error="insufficient_user_authentication"'


@pytest.fixture
async def token(visitor: Visitor) -> str:
    await visitor.register("Alice")
    return await make_token(visitor)


PATHS = ["/reauthenticate", "/account/password", "/account/delete"]


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
@pytest.mark.requirement("6.3.1", "7.5.1")
async def test_no_page_checks_a_password_for_a_bearer_token(
    visitor: Visitor, new_visitor: Callable[[], Visitor], token: str, database: str, accept: str
) -> None:
    headers, pages = {"Authorization": f"Bearer {token}", "Accept": accept}, []
    for who, shown in (
        (visitor, "/account"),
        (new_visitor(), "/login"),
    ):  # with a session beside the token, and without
        form = {"csrf_token": (await who.get(shown)).token, **FIELDS}
        for path in PATHS:
            pages += [await who.get(path, headers=headers), await who.post(path, form, headers=headers)]

    assert [page.status for page in pages] == [401] * 12
    assert all(page.headers["WWW-Authenticate"].startswith(STEP_UP) for page in pages)
    assert (
        run_sql(
            database, "SELECT name FROM quartlogin_attempt_counters WHERE name LIKE 'login:%' OR name LIKE 'holders:%'"
        )
        == []
    )
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(1,)]


async def test_brute_force_at_the_login_page_with_a_bearer_token_counts_as_a_strangers(
    new_visitor: Callable[[], Visitor], token: str
) -> None:
    stranger = new_visitor()
    form_token = (await stranger.get("/login")).token
    fields = {"csrf_token": form_token, "username": "Alice", "password": WRONG}

    answers = [
        (await stranger.post("/login", fields, headers={"Authorization": f"Bearer {token}"})).status for _ in range(7)
    ]

    assert answers == [400] * 5 + [429] * 2


async def test_a_foreign_token_beside_the_session_does_not_block_the_password(visitor: Visitor, token: str) -> None:
    page = await visitor.get("/reauthenticate")
    headers = {"Authorization": "Bearer of-a-gateway", "Accept": "text/html"}

    answer = await visitor.post("/reauthenticate", {"csrf_token": page.token, "password": PASSWORD}, headers=headers)

    assert answer.status == 302
