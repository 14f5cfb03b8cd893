"""API tokens: shown once, stored hashed, revoked one by one."""

import asyncio
import re
import time
from collections.abc import Callable

import pytest
from quart import Quart

from client import Page, Visitor, set_active
from databases import both_databases, run_sql
from event_kinds import KINDS
from quartlogin.accounts import get_accounts


@pytest.fixture
async def alice(visitor: Visitor) -> Visitor:
    await visitor.register("Alice")
    return visitor


async def make(visitor: Visitor, **fields: str) -> Page:
    page = await visitor.get("/account")
    return await visitor.post("/account/tokens", {"csrf_token": page.token, **fields})


def token_in(page: Page) -> str:
    return re.search(r"<code>([\w.-]{40,})</code>", page.text)[1]  # type: ignore[index]


async def who(app: Quart, token: str, **headers: str) -> tuple[int, str]:
    answer = await app.test_client(use_cookies=False).get(
        "/api/me", headers={"Authorization": f"Bearer {token}", **headers}
    )
    return answer.status_code, await answer.get_data(as_text=True)


@both_databases
async def test_a_token_is_shown_once_and_kept_nowhere_in_clear(alice: Visitor, app: Quart, database: str) -> None:
    made = await make(alice, name="backup <b>")
    token = token_in(made)
    listed = await alice.get("/account")

    assert made.status == 200
    assert made.headers["Cache-Control"] == "private, no-store"
    assert (await who(app, token))[0] == 200
    assert token not in listed.text
    assert "backup &lt;b&gt;" in listed.text
    assert token not in str(run_sql(database, "SELECT * FROM quartlogin_logins"))


async def test_when_a_token_was_used_is_shown(alice: Visitor, app: Quart) -> None:
    token = token_in(await make(alice, name="backup"))
    before = await alice.get("/account")

    await who(app, token)
    await get_accounts(app).user_loader.last_seen.flush()
    after = await alice.get("/account")

    assert "never used" in before.text
    assert "last used <time" in after.text


async def test_a_token_ends_to_the_second(alice: Visitor, app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    now = float(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: now)
    token = token_in(await make(alice, name="backup", days="1"))

    monkeypatch.setattr(time, "time", lambda: now + 24 * 60 * 60 - 1)
    before = await who(app, token)
    monkeypatch.setattr(time, "time", lambda: now + 24 * 60 * 60)
    after = await who(app, token)

    assert (before[0], after[0]) == (200, 401)


@both_databases
async def test_replay_of_a_revoked_token_fails_on_the_next_request(alice: Visitor, app: Quart) -> None:
    token = token_in(await make(alice, name="backup"))
    page = await alice.get("/account")
    path = re.search(r"/account/tokens/\w+/revoke", page.text)[0]  # type: ignore[index]

    first = await alice.post(path, {"csrf_token": page.token})
    second = await alice.post(path, {"csrf_token": page.token})

    assert (first.status, second.status) == (302, 404)
    assert (await who(app, token))[0] == 401
    assert await alice.is_signed_in()


@pytest.mark.requirement("8.2.2")
async def test_idor_another_users_token_cannot_be_revoked(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor]
) -> None:
    token, mallory = token_in(await make(alice, name="backup")), new_visitor()
    await mallory.register("Mallory")
    path = re.search(r"/account/tokens/\w+/revoke", (await alice.get("/account")).text)[0]  # type: ignore[index]

    answer = await mallory.post(path, {"csrf_token": (await mallory.get("/account")).token})

    assert answer.status == 404
    assert (await who(app, token))[0] == 200


@pytest.mark.requirement("2.2.1", "2.2.2")
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": " "},
        {"name": "x" * 65},
        {"name": "a\x1bb"},
        {"name": "x", "days": "0"},
        {"name": "x", "days": "367"},
        {"name": "x", "days": "-1"},
        {"name": "x", "days": "1.5"},
        {"name": "x", "days": "9" * 5000},
        {"name": "x", "days": "soon"},
    ],
)
async def test_invalid_fields_show_errors_and_create_no_token(
    alice: Visitor, database: str, fields: dict[str, str]
) -> None:
    page = await make(alice, **fields)

    assert page.status == 400
    assert 'class="error"' in page.text
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins WHERE kind = 'bearer'") == [(0,)]


@pytest.mark.requirement("V11", "V21")
async def test_a_token_survives_another_password_but_not_being_disabled(alice: Visitor, app: Quart) -> None:
    token = token_in(await make(alice, name="backup"))

    await alice.fill_in(
        "/account/password", current_password="correct horse battery staple", new_password="another staple, another"
    )
    after_change = await who(app, token)
    await set_active(app, "Alice", active=False)
    while_disabled = await who(app, token)
    await set_active(app, "Alice", active=True)

    assert (after_change[0], while_disabled[0], (await who(app, token))[0]) == (200, 401, 401)


async def test_a_token_takes_precedence_over_the_cookies_of_another_user(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor]
) -> None:
    token, bob = token_in(await make(alice, name="backup")), new_visitor()
    await bob.register("Bob")

    answer = await bob.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    broken = await bob.get("/api/me", headers={"Authorization": f"Bearer {token}x"})

    assert '"username":"Alice"' in answer.text
    assert broken.status == 401


async def test_a_token_is_never_fresh(alice: Visitor, app: Quart) -> None:
    token = token_in(await make(alice, name="backup"))

    answer = await app.test_client(use_cookies=False).get(
        "/account/password", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]


@pytest.mark.slow
@pytest.mark.requirement("2.3.4", "15.4.2")
@both_databases
async def test_race_at_most_fifty_tokens_are_created_concurrently(alice: Visitor, database: str) -> None:
    page = await alice.get("/account")
    fields = {"csrf_token": page.token, "days": "90"}
    for number in range(47):
        await alice.post("/account/tokens", {**fields, "name": f"token {number}"})

    pages = await asyncio.gather(
        *(alice.post("/account/tokens", {**fields, "name": f"at once {number}"}) for number in range(6))
    )

    assert sorted(page.status for page in pages) == [200] * 3 + [400] * 3
    assert all("50 tokens" in page.text for page in pages if page.status == 400)
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins WHERE kind = 'bearer'") == [(50,)]


@both_databases
async def test_events_of_a_token_show_its_name(alice: Visitor, database: str) -> None:
    await make(alice, name="<b>backup")
    page = await alice.get("/account")
    revoked = re.search(r"/account/tokens/(\w+)/revoke", page.text)[1]  # type: ignore[index]
    await alice.post(f"/account/tokens/{revoked}/revoke", {"csrf_token": page.token})

    events = run_sql(database, "SELECT kind, subject FROM quartlogin_events WHERE kind LIKE 'token%' ORDER BY id")
    shown = (await alice.get("/account")).text
    assert events == [("token_created", "<b>backup"), ("token_revoked", "<b>backup")]
    assert f"{KINDS['token_revoked']}: &lt;b&gt;backup</strong>" in shown
    assert f"{KINDS['token_created']}: &lt;b&gt;backup</strong>" in shown
