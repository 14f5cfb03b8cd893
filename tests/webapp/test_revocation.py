"""Revoking logins on the account page."""

import re
import time
from collections.abc import AsyncIterator, Callable

import pytest
from quart import Quart

from client import KEY, PASSWORD, Page, Visitor, with_cheap_hashes
from databases import both_databases, run_sql
from event_kinds import KINDS
from quartlogin.accounts import get_accounts
from quartlogin.webapp import create_app

pytestmark = both_databases


@pytest.fixture
async def elsewhere(app: Quart, database: str) -> AsyncIterator[Quart]:
    """Another process on the same database."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with app.test_app():
        yield app


@pytest.fixture
async def desk(visitor: Visitor) -> Visitor:
    """Alice's browser, in which she has registered."""
    await visitor.register("Alice")
    return visitor


@pytest.fixture
async def phone(desk: Visitor, new_visitor: Callable[[], Visitor]) -> Visitor:
    """Alice's other browser, which keeps her signed in."""
    phone = new_visitor()
    await phone.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    return phone


async def public_id_of(visitor: Visitor) -> str:
    page = await visitor.get("/account")
    return re.search(r'class="badge".*?/account/logins/(\w+)/revoke', page.text, re.DOTALL)[1]  # type: ignore[index]


async def press(visitor: Visitor, path: str) -> Page:
    page = await visitor.get("/account")
    return await visitor.post(path, {"csrf_token": page.token})


async def counts(app: Quart, cookies: dict[str, str]) -> list[bool]:
    """Whether each copy of the cookies, and all of them together, are somebody's."""
    found = []
    for jar in [*({name: value} for name, value in cookies.items()), cookies]:
        header = "; ".join(f"{name}={value}" for name, value in jar.items())
        answer = await app.test_client(use_cookies=False).get("/account", headers={"Cookie": header})
        found.append(answer.status_code == 200)
    return found


@pytest.mark.requirement("7.4.1", "V23")
async def test_a_sign_in_ends_on_the_next_request_for_every_copy_in_every_process(
    desk: Visitor, phone: Visitor, app: Quart, elsewhere: Quart
) -> None:
    copies = phone.cookies

    answer = await press(desk, f"/account/logins/{await public_id_of(phone)}/revoke")

    assert (answer.status, answer.location) == (302, "/account")
    assert not any(await counts(app, copies) + await counts(elsewhere, copies))
    assert await desk.is_signed_in()


async def test_all_others_end_and_this_one_goes_on(
    desk: Visitor, phone: Visitor, elsewhere: Quart, new_visitor: Callable[[], Visitor]
) -> None:
    bob, copies = new_visitor(), phone.cookies
    await bob.register("Bob")

    await press(desk, "/account/logins/revoke-others")

    assert "1 other sign-in" in (await desk.get("/account")).text
    assert not any(await counts(elsewhere, copies))
    assert await desk.is_signed_in()
    assert await bob.is_signed_in()


async def test_ending_this_one_is_signing_out(desk: Visitor, app: Quart) -> None:
    copies = desk.cookies

    answer = await press(desk, f"/account/logins/{await public_id_of(desk)}/revoke")

    assert (answer.status, answer.location) == (302, "/")
    assert not any(await counts(app, copies))


@pytest.mark.requirement("7.5.2")
@pytest.mark.requirement("8.2.2")
async def test_idor_another_users_login_is_as_unknown_as_any(
    desk: Visitor, phone: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    mallory = new_visitor()
    await mallory.register("Mallory")

    others = await press(mallory, f"/account/logins/{await public_id_of(phone)}/revoke")
    unknown = await press(mallory, f"/account/logins/{'0' * 16}/revoke")

    assert (others.status, others.text) == (unknown.status, unknown.text)
    assert others.status == 404
    assert await phone.is_signed_in()


async def test_revoking_twice_is_reported(desk: Visitor, phone: Visitor) -> None:
    path = f"/account/logins/{await public_id_of(phone)}/revoke"

    first, second = await press(desk, path), await press(desk, path)

    assert (first.status, second.status) == (302, 404)
    assert "already ended" in second.text


@pytest.mark.parametrize("public_id", ["x" * 5000, "%00", "é", "%2e%2e", "1'%20OR%20'1'='1", "99999999999999999999"])
async def test_a_hostile_ref_is_unknown(desk: Visitor, phone: Visitor, public_id: str) -> None:
    assert (await press(desk, f"/account/logins/{public_id}/revoke")).status in {400, 404}
    assert await phone.is_signed_in()


@pytest.mark.requirement("3.5.3")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_csrf_get_requests_revoke_nothing(desk: Visitor, phone: Visitor, method: str) -> None:
    for path in (
        f"/account/logins/{await public_id_of(phone)}/revoke",
        "/account/logins/revoke-others",
        "/account/tokens",
    ):
        assert (await desk.request(method, path)).status in {200, 405}

    assert await phone.is_signed_in()


async def test_csrf_a_form_without_its_token_or_from_another_site_revokes_nothing(
    desk: Visitor, phone: Visitor
) -> None:
    path, token = f"/account/logins/{await public_id_of(phone)}/revoke", (await desk.get("/account")).token
    foreign = {"Origin": "https://evil.example"}

    without = await desk.post(path, {})
    from_elsewhere = await desk.post(path, {"csrf_token": token}, headers=foreign)
    with_anothers = await desk.post(path, {"csrf_token": (await phone.get("/account")).token})

    assert (without.status, from_elsewhere.status, with_anothers.status) == (400, 403, 400)
    assert await phone.is_signed_in()


@pytest.mark.requirement("7.5.1", "7.5.2")
@pytest.mark.requirement("2.3.1")
async def test_a_restored_login_types_the_password_first_and_comes_back_to_the_account(
    desk: Visitor, phone: Visitor
) -> None:
    phone.client.delete_cookie("localhost", "quartlogin")

    asked = await press(phone, "/account/logins/revoke-others")
    confirmed = await phone.fill_in(str(asked.location), password=PASSWORD, next="/account/logins/revoke-others")

    assert asked.location == "/reauthenticate"  # a button's address is none to come back to
    assert (confirmed.status, confirmed.location) == (302, "/account")
    assert await desk.is_signed_in()


@pytest.mark.requirement("7.5.1", "7.5.2")
@pytest.mark.requirement("2.3.1")
async def test_a_password_that_was_typed_half_an_hour_ago_is_asked_for_again(
    desk: Visitor, phone: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 31 * 60
    monkeypatch.setattr(time, "time", lambda: later)

    answer = await press(desk, "/account/logins/revoke-others")

    assert answer.location == "/reauthenticate"
    assert await phone.is_signed_in()


@pytest.mark.requirement("7.1.2")
async def test_more_sign_ins_than_an_account_may_have_end_the_one_that_was_not_used_for_longest(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [float(int(time.time()))]
    monkeypatch.setattr(time, "time", lambda: now[0])
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, MAX_LOGINS_PER_USER=3))
    async with app.test_app():
        visitors = [Visitor(app.test_client()) for _ in range(4)]
        await visitors[0].register("Alice")
        made = await visitors[0].post(
            "/account/tokens", {"csrf_token": (await visitors[0].get("/account")).token, "name": "backup"}
        )
        for visitor in visitors[1:3]:
            now[0] += 100
            await visitor.sign_in("Alice")
        now[0] += 100
        assert await visitors[0].is_signed_in()
        await get_accounts(app).user_loader.last_seen.flush()

        await visitors[3].sign_in("Alice")

        assert [await visitor.is_signed_in() for visitor in visitors] == [True, False, True, True]
        assert KINDS["login_evicted"] in (await visitors[3].get("/account")).text
    assert made.status == 200
    assert run_sql(database, "SELECT kind, count(*) FROM quartlogin_logins GROUP BY kind ORDER BY kind") == [
        ("bearer", 1),
        ("session", 3),
    ]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events WHERE kind = 'login_evicted'") == [(1,)]


async def test_this_sign_in_is_listed_first(desk: Visitor, phone: Visitor) -> None:
    public_ids = [(await public_id_of(visitor)) for visitor in (desk, phone)]

    first = [
        re.search(r"/account/logins/(\w+)/revoke", (await visitor.get("/account")).text) for visitor in (desk, phone)
    ]

    assert [found and found[1] for found in first] == public_ids
