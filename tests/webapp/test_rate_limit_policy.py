"""Rate limits of password guessing (brute force, credential stuffing, account lockout, device cookies)."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from quart import Quart

from client import KEY, PASSWORD, WRONG, Visitor, add_user, guess, set_active, with_cheap_hashes
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.database.models import AttemptCounter
from quartlogin.accounts.security.rate_limits import (
    MAX_DELAY,
    MAX_FAILURES,
    WINDOW,
    AttemptCounters,
    DelayPolicy,
    TooManyAttempts,
    network_of,
    without,
)
from quartlogin.webapp import create_app
from quartlogin.webapp.cli import main


async def guesses(app: Quart, count: int, **options: Any) -> list[int]:
    return [(await guess(app, **options)).status for _ in range(count)]


# --- the arithmetic


@given(limit=st.integers(4, 50), gaps=st.lists(st.integers(0, 4000), max_size=150))
@pytest.mark.requirement("6.3.1")
def test_rate_limit_holds_whatever_the_pauses(limit: int, gaps: list[int]) -> None:
    for count in (DelayPolicy(limit).after_failure_of_account, DelayPolicy(limit).after_failure_of_address):
        counter, now, passed, waits = AttemptCounter(), 1_000_000, list[int](), list[int]()
        for gap in gaps:
            now += gap
            try:
                counter = count(counter, now)
            except TooManyAttempts as refusal:
                waits.append(refusal.wait)
            else:
                passed.append(now)
        assert all(0 < wait <= MAX_DELAY for wait in waits)
        for end in range(len(passed)):
            assert sum(passed[end] - WINDOW < at <= passed[end] for at in passed) <= limit


@given(limit=st.integers(4, 50))
@pytest.mark.requirement("N13")
def test_rate_limit_attempts_after_the_delay_are_allowed_up_to_a_hundred_failures(limit: int) -> None:
    rule, counter, now, delays = DelayPolicy(limit), AttemptCounter(), 1_000_000, list[int]()
    for _ in range(MAX_FAILURES):
        try:
            counter = rule.after_failure_of_account(counter, now)
        except TooManyAttempts as refusal:
            delays.append(refusal.wait)
            now += refusal.wait
            counter = rule.after_failure_of_account(counter, now)

    assert delays == sorted(delays)
    assert len(delays) == MAX_FAILURES - limit // 2
    assert delays[-1] <= MAX_DELAY
    with pytest.raises(TooManyAttempts):
        rule.after_failure_of_account(counter, now + 100 * MAX_DELAY)


def test_rate_limit_delays_of_an_address_double() -> None:
    rule, counter, now, waits = DelayPolicy(10), AttemptCounter(), 1_000_000, list[int]()
    while len(waits) < 9:
        try:
            counter = rule.after_failure_of_address(counter, now)
        except TooManyAttempts as refusal:
            waits.append(refusal.wait)
            now += refusal.wait

    assert waits[:4] == [900, 1800, 3600, 7200]
    assert waits[-1] == MAX_DELAY
    assert rule.after_failure_of_address(AttemptCounter(5, (now,) * 10), now + 3 * MAX_DELAY) == AttemptCounter(
        0, (now + 3 * MAX_DELAY,)
    )


def test_rate_limit_a_success_refunds_its_own_attempt_only() -> None:
    assert without(AttemptCounter(2, (5, 7, 7, 9)), 7) == AttemptCounter(2, (5, 7, 9))
    assert without(AttemptCounter(2, (5,)), 7) == AttemptCounter(2, (5,))


@pytest.mark.requirement("V15")
@pytest.mark.parametrize(
    ("addresses", "network"),
    [
        (["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"], "192.0.2.1"),
        (["2001:db8:0:1::1", "2001:DB8::ff:ffff:ffff:ffff:ffff", "2001:0db8:0000:0001::7%eth0"], "2001:db8::/56"),
        (["2001:db8:0:100::1"], "2001:db8:0:100::/56"),
        (["192.0.2.1", "64:ff9b::192.0.2.1", "64:FF9B::c000:201", "64:ff9b:1::192.0.2.1"], "192.0.2.1"),
        (["64:ff9b:1:fffe::192.0.2.1", "::ffff:0:192.0.2.1", "::192.0.2.1"], "192.0.2.1"),
        (["2002:c000:201::1", "2002:c000:201:ffff::7"], "192.0.2.1"),  # 6to4
        (["2001:0:4136:e378:8000:63bf:3fff:fdfe", "2001:0:1:2:3:4:3fff:fdfe"], "192.0.2.1"),  # Teredo
        (["::1", "::"], "::/56"),
        (["<local>"], "<local>"),
        ([""], ""),
    ],
)
def test_rate_limit_the_addresses_of_one_subscriber_count_as_one(addresses: list[str], network: str) -> None:
    assert {network_of(address) for address in addresses} == {network}


# --- signing in


@pytest.mark.requirement("V12")
@both_databases
@pytest.mark.requirement("6.3.1", "6.3.8", "C1", "C2")
async def test_username_enumeration_delays_of_known_and_unknown_names_are_the_same(
    app: Quart, alice: str, now: list[float], database: str
) -> None:
    await add_user(app, "Bob")
    await set_active(app, "Bob", active=False)
    seen = {}
    for number, name in enumerate(["Alice", "Nobody", "Bob"]):
        answers = []
        for _ in range(8):
            page = await guess(app, name, address=f"192.0.2.{number}")
            answers.append((page.status, page.headers.get("Retry-After"), page.text if page.status == 429 else ""))
            now[0] += 14
        seen[name] = answers
        now[0] += 1000 - 8 * 14

    assert [status for status, _, _ in seen["Alice"]] == [400] * 5 + [429, 400, 429]
    assert [wait for _, wait, _ in seen["Alice"]] == [None] * 5 + ["1", None, "16"]
    assert re.search(r"\b1 second\b.*<time", seen["Alice"][5][2])
    for name in ("Nobody", "Bob"):
        assert [answer[:2] for answer in seen[name]] == [answer[:2] for answer in seen["Alice"]]
    kept = run_sql(database, "SELECT name FROM quartlogin_attempt_counters WHERE name LIKE 'name:%'")
    assert kept
    assert not any("obody" in name for (name,) in kept)  # what was typed may be a password


@pytest.mark.requirement("6.3.1", "C15")
@pytest.mark.requirement("16.3.1")
async def test_rate_limited_attempts_are_not_verified_but_logged(
    app: Quart, alice: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, database: str
) -> None:
    await guesses(app, 5)
    events = run_sql(database, "SELECT count(*) FROM quartlogin_events")
    monkeypatch.setattr(get_accounts(app).passwords.hashing, "_check", lambda *_: pytest.fail("it was looked at"))
    caplog.set_level(logging.INFO, "quartlogin.audit")

    page = await guess(app, password=PASSWORD)

    [told] = [json.loads(record.message) for record in caplog.records if record.name == "quartlogin.audit"]
    assert page.status == 429
    assert (told["event"], told["address"]) == ("rate_limited", "192.0.2.1")
    assert "user" not in told
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == events


@pytest.mark.requirement("15.4.2")
@both_databases
@pytest.mark.requirement("6.3.1", "C2")
async def test_race_of_concurrent_attempts_does_not_exceed_the_rate_limit(
    app: Quart, alice: str, database: str
) -> None:
    elsewhere = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with elsewhere.test_app():
        pages = await asyncio.gather(*(guess(which) for which in [app, elsewhere] * 10))

    assert sorted(page.status for page in pages) == [400] * 5 + [429] * 15


@pytest.mark.requirement("N14")
async def test_rate_limit_a_success_resets_consecutive_failures(app: Quart, alice: str) -> None:
    for _ in range(3):
        assert await guesses(app, 4) == [400] * 4
        assert (await guess(app, password=PASSWORD)).status == 302


@both_databases
@pytest.mark.requirement("6.1.1", "6.3.1", "C2")
async def test_account_lockout_brute_force_by_a_stranger_does_not_lock_the_owner_out(app: Quart, alice: str) -> None:
    owner, address = Visitor(app.test_client()), {"client": ("192.0.2.1", 1)}
    await owner.sign_in("Alice")
    await owner.sign_out()
    await guesses(app, 60)

    assert (await guess(app, password=PASSWORD)).status == 429
    page = await owner.get("/login")
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD}
    assert (await owner.post("/login", fields, scope_base=address)).status == 302


async def test_device_cookie_has_a_rate_limit_too(app: Quart, alice: str) -> None:
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    await owner.sign_out()

    assert [(await owner.sign_in("Alice", WRONG)).status for _ in range(6)] == [400] * 5 + [429]
    assert (await guess(app, password=PASSWORD)).status == 302  # others have a tally of their own


async def test_device_cookie_is_valid_for_its_account_only(app: Quart, alice: str) -> None:
    await add_user(app, "Mallory")
    mallory = Visitor(app.test_client())
    await mallory.sign_in("Mallory")
    await mallory.sign_out()
    await guesses(app, 5)

    assert (await mallory.sign_in("Alice", WRONG)).status == 429
    assert (await mallory.sign_in("Mallory")).status == 302


@pytest.mark.parametrize("cookie", ["x", "W10.aaaaaa.bbbb", "é", "x" * 5000, "WyJ4Il0=", "", "\x7f"])
async def test_device_cookie_forged_is_ignored(app: Quart, alice: str, cookie: str) -> None:
    await guesses(app, 5)
    visitor = Visitor(app.test_client())
    page = await visitor.get("/login")
    session = visitor.cookies["quartlogin"]
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD}

    headers = {"Cookie": f"quartlogin={session}; quartlogin_browser={cookie}"}
    answer = await app.test_client(use_cookies=False).post("/login", form=fields, headers=headers)

    assert answer.status_code == 429


@pytest.mark.requirement("V6")
@pytest.mark.requirement("11.2.2")
async def test_device_cookie_survives_a_key_rotation(app: Quart, alice: str, database: str) -> None:
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    await owner.sign_out()
    await guesses(app, 5)
    new_key = "another key for tests, of more than 32 characters"
    rotated = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=new_key, SECRET_KEY_FALLBACKS=[KEY]))

    async with rotated.test_app():
        page = await Visitor(rotated.test_client()).get("/login")
        client = rotated.test_client(use_cookies=False)
        jar = f"quartlogin={page.headers['Set-Cookie'].partition('=')[2].partition(';')[0]}"
        fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD}
        headers = {"Cookie": f"{jar}; quartlogin_browser={owner.cookies['quartlogin_browser']}"}
        answer = await client.post("/login", form=fields, headers=headers)

    assert answer.status_code == 302


@pytest.mark.requirement("V13")
@both_databases
@pytest.mark.requirement("6.3.1", "C2", "C15")
async def test_credential_stuffing_from_one_address_is_stopped_despite_a_success_in_between(
    app: Quart, alice: str, now: list[float]
) -> None:
    assert [(await guess(app, f"name {number}")).status for number in range(49)] == [400] * 49
    assert (await guess(app, "Alice", PASSWORD)).status == 302

    assert [(await guess(app, f"other name {number}")).status for number in range(2)] == [400, 429]
    stopped = await guess(app, "Alice", PASSWORD)
    assert (stopped.status, stopped.headers["Retry-After"]) == (429, "900")
    assert (await guess(app, "Alice", PASSWORD, address="192.0.2.2")).status == 302


@pytest.mark.requirement("V15")
async def test_rate_limit_all_addresses_of_one_network_count_as_one(app: Quart, now: list[float]) -> None:
    pages = [await guess(app, f"name {number}", address=f"2001:db8:0:{number:x}::1") for number in range(51)]

    assert [page.status for page in pages] == [400] * 50 + [429]
    assert (await guess(app, "one more", address="2001:db8:0:100::1")).status == 400


@pytest.mark.requirement("V14")
@pytest.mark.requirement("4.1.3", "15.3.4")
async def test_spoofed_headers_do_not_change_the_address_of_the_rate_limit(app: Quart) -> None:
    visitor = Visitor(app.test_client())
    page = await visitor.get("/login")
    for number in range(51):
        fields = {"csrf_token": page.token, "username": f"name {number}", "password": WRONG}
        headers = {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"}
        answer = await visitor.post("/login", fields, headers=headers)

    assert answer.status == 429


@pytest.mark.slow
@both_databases
@pytest.mark.parametrize("way_out", ["operator", "device cookie"])
@pytest.mark.requirement("N13")
async def test_brute_force_after_a_hundred_consecutive_failures_no_stranger_is_verified(
    app: Quart, alice: str, now: list[float], database: str, way_out: str
) -> None:
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    tried, elsewhere = 0, with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with elsewhere.test_app():
        while tried < MAX_FAILURES:
            now[0] += MAX_DELAY
            page = await guess([app, elsewhere][tried % 2], address=f"192.0.2.{tried}")
            assert page.status == 400
            tried += 1
    now[0] += 30 * MAX_DELAY

    locked = await guess(app, password=PASSWORD)
    assert (locked.status, locked.headers["Retry-After"]) == (429, str(MAX_DELAY))
    if way_out == "operator":
        command = ["user", "set-password", "alice", "--password-stdin", "--database", database]
        done = await asyncio.to_thread(CliRunner().invoke, main, command, input="another staple, another horse\n")
        assert done.exit_code == 0
    else:
        await owner.sign_in("Alice")
        page = await owner.fill_in(
            "/account/password", current_password=PASSWORD, new_password="another staple, another horse"
        )
        assert page.status == 302

    assert (await guess(app, password="another staple, another horse")).status == 302


@pytest.mark.slow
@pytest.mark.requirement("N13")
async def test_device_cookie_after_a_hundred_failures_works_again_after_a_password_reset(
    app: Quart, alice: str, now: list[float], database: str
) -> None:
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    await owner.sign_out()
    for _ in range(MAX_FAILURES):
        now[0] += MAX_DELAY
        assert (await owner.sign_in("Alice", WRONG)).status == 400
    now[0] += 30 * MAX_DELAY
    assert (await owner.sign_in("Alice")).status == 429

    command = ["user", "set-password", "alice", "--password-stdin", "--database", database]
    await asyncio.to_thread(CliRunner().invoke, main, command, input="another staple, another horse\n")

    assert (await owner.sign_in("Alice", "another staple, another horse")).status == 302


async def test_a_database_failure_while_attempts_are_counted_is_a_503_without_a_hash(
    app: Quart, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(AttemptCounters, "change", fail)
    monkeypatch.setattr(get_accounts(app).passwords.hashing, "_check", lambda *_: pytest.fail("it was looked at"))

    assert (await guess(app, password=PASSWORD)).status == 503


# --- typing the password again, registering


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/reauthenticate", {"password": WRONG}),
        ("/account/password", {"current_password": WRONG, "new_password": "another staple, another horse"}),
        ("/account/delete", {"password": WRONG}),
    ],
)
@pytest.mark.requirement("6.3.1")
async def test_session_hijacking_a_stolen_session_cannot_brute_force_the_password(
    app: Quart, visitor: Visitor, path: str, fields: dict[str, str]
) -> None:
    await visitor.register("Alice")

    assert [(await visitor.fill_in(path, **fields)).status for _ in range(6)] == [400] * 5 + [429]
    assert await visitor.is_signed_in()
    other = Visitor(app.test_client())
    await other.sign_in("Alice")
    assert (await other.fill_in("/reauthenticate", password=PASSWORD)).status == 302


@pytest.mark.requirement("2.4.1")
@both_databases
@pytest.mark.requirement("6.3.8", "C15")
async def test_username_enumeration_by_registration_is_rate_limited(app: Quart, alice: str) -> None:
    answers = []
    for number in range(51):
        name = "Alice" if number % 2 else f"newname{number}"
        answers.append((await Visitor(app.test_client()).register(name)).status)

    assert answers == [302, 400] * 25 + [429]


# --- housekeeping


@both_databases
async def test_old_attempts_are_removed_but_never_those_of_users(
    app: Quart, alice: str, now: list[float], database: str
) -> None:
    await guess(app)
    await guess(app, "Nobody")
    store = get_accounts(app).store

    assert await store.attempts.remove_before(int(now[0]), int(now[0]), 100) == 0
    assert await store.attempts.remove_before(int(now[0]) + 1, int(now[0]), 100) == 1
    assert await store.attempts.remove_before(int(now[0]) + 1, int(now[0]) + 1, 100) == 1
    assert run_sql(database, "SELECT name FROM quartlogin_attempt_counters") == [(f"user:{alice}",)]


async def test_a_deleted_account_leaves_no_attempt_counter_and_no_device_cookie(
    visitor: Visitor, database: str, app: Quart
) -> None:
    await visitor.register("Alice")
    await guess(app)

    await visitor.fill_in("/account/delete", password=PASSWORD)
    await visitor.get("/")

    assert run_sql(database, "SELECT name FROM quartlogin_attempt_counters WHERE name LIKE 'user:%'") == []
    assert visitor.cookies == {}


@pytest.fixture
async def strict(database: str) -> AsyncIterator[Quart]:
    """The application with the strictest limits."""
    settings = {"LOGIN_RATE_LIMIT_PER_ACCOUNT": 4, "LOGIN_RATE_LIMIT_PER_ADDRESS": 10}
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, **settings))
    async with app.test_app():
        yield app


@pytest.mark.requirement("6.1.1")
async def test_rate_limits_are_settings(strict: Quart, new_visitor: Callable[[], Visitor]) -> None:
    assert await guesses(strict, 3) == [400, 400, 429]
    assert [(await guess(strict, f"name {number}")).status for number in range(9)] == [400] * 8 + [429]


async def test_the_rate_limit_page_links_back_to_its_form_and_keeps_next(visitor: Visitor, alice: str) -> None:
    form = "/login?next=%2Faccount"
    token = (await visitor.get(form)).token
    fields = {"username": "Alice", "password": WRONG, "csrf_token": token}

    pages = [await visitor.request("POST", form, form=fields) for _ in range(6)]

    assert pages[-1].status == 429
    assert 'href="/login?next=/account"' in pages[-1].text


@pytest.mark.parametrize(
    "address", ["/login?next=//evil.example&_external=1&_scheme=javascript", '/login?next="><script>']
)
async def test_open_redirect_through_the_link_of_the_rate_limit_page_is_blocked(
    visitor: Visitor, alice: str, address: str
) -> None:
    token = (await visitor.get("/login")).token
    fields = {"username": "Alice", "password": WRONG, "csrf_token": token}

    pages = [await visitor.request("POST", address, form=fields) for _ in range(6)]

    assert pages[-1].status == 429
    assert re.findall(r'href="((?!/).*?)"', pages[-1].text) == ["#content"]
    assert pages[-1].text.count("<script") == 1  # the one that shows local times
