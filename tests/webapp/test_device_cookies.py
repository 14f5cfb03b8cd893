"""Device cookies (OWASP): how often a browser that signed in before may guess, and many of them together.

Attacks: brute force past the rate limit with a new device cookie for each counter, and with one from before a password
change.
"""

from collections.abc import Callable

import pytest
from quart import Quart

from client import NEW_PASSWORD, PASSWORD, WRONG, Visitor, add_user, guess, set_active
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.security.rate_limits import MAX_FAILURES

DEVICE = "quartlogin_browser"


async def device_cookie(app: Quart, password: str = PASSWORD) -> str:
    """Sign in with a new browser and take its device cookie along."""
    visitor = Visitor(app.test_client())
    assert (await visitor.sign_in("Alice", password)).status == 302
    return visitor.cookies[DEVICE]


def with_device(app: Quart, cookie: str) -> Visitor:
    """A new browser that has somebody's device cookie."""
    visitor = Visitor(app.test_client())
    visitor.client.set_cookie("localhost", DEVICE, cookie)
    return visitor


@pytest.mark.slow
@both_databases
@pytest.mark.requirement("N13", "C2")
async def test_brute_force_with_many_device_cookies_adds_up_per_account(app: Quart, alice: str, database: str) -> None:
    cookies = [await device_cookie(app) for _ in range(30)]

    answers = [
        (await with_device(app, cookies[number % len(cookies)]).sign_in("Alice", WRONG)).status for number in range(300)
    ]

    assert answers.count(400) == MAX_FAILURES
    assert set(answers[MAX_FAILURES:]) == {429}
    assert run_sql(database, f"SELECT number FROM quartlogin_attempt_counters WHERE name = 'holders:{alice}'") == [
        (MAX_FAILURES,)
    ]
    # One more device cookie begins no counter anew: none of them is let in, whatever it types.
    for cookie in cookies[:3]:
        assert (await with_device(app, cookie).sign_in("Alice")).status == 429


@both_databases
@pytest.mark.requirement("N13")
async def test_replay_of_a_device_cookie_from_before_a_password_change_fails(
    app: Quart, alice: str, database: str
) -> None:
    cookies = [await device_cookie(app) for _ in range(7)]
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    await owner.fill_in("/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)

    answers = [(await with_device(app, cookie).sign_in("Alice", WRONG)).status for cookie in cookies]

    assert answers == [400] * 5 + [429] * 2  # as strangers
    assert (
        run_sql(
            database,
            "SELECT name FROM quartlogin_attempt_counters WHERE name LIKE 'browser:%' OR name LIKE 'holders:%'",
        )
        == []
    )


@pytest.mark.parametrize("ending", ["set-password", "disable"])
async def test_a_device_cookie_ends_when_the_operator_ends_all_logins(app: Quart, alice: str, ending: str) -> None:
    parts, cookie = get_accounts(app), await device_cookie(app)
    if ending == "disable":
        await set_active(app, "Alice", active=False)
        await set_active(app, "Alice", active=True)
    else:
        event = parts.audit_log.event("password_set", alice)
        await parts.store.passwords.set(alice, await parts.passwords.hashing.hash(PASSWORD), event)
    for _ in range(5):
        await guess(app)

    assert (await with_device(app, cookie).sign_in("Alice")).status == 429


async def test_the_browser_that_changes_the_password_keeps_its_device_cookie(app: Quart, alice: str) -> None:
    owner = Visitor(app.test_client())
    await owner.sign_in("Alice")
    await owner.fill_in("/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)
    await owner.sign_out()
    for _ in range(6):
        await guess(app)

    assert (await owner.sign_in("Alice", NEW_PASSWORD)).status == 302


async def test_a_device_cookie_keeps_the_other_accounts_of_its_browser_after_a_change_of_the_password(
    app: Quart, alice: str
) -> None:
    others = [f"Name {number}" for number in range(4)]
    browser = Visitor(app.test_client())
    for name in others:
        await add_user(app, name)
        await browser.sign_in(name)
        await browser.sign_out()
    await browser.sign_in("Alice")
    password = PASSWORD
    for new in (NEW_PASSWORD, NEW_PASSWORD[::-1], "a third staple, a third horse"):
        await browser.fill_in("/account/password", current_password=password, new_password=new)
        password = new
    await browser.sign_out()

    for name in others:
        assert [(await guess(app, name, address="192.0.2.7")).status for _ in range(6)] == [400] * 5 + [429]
        assert (await browser.sign_in(name)).status == 302
        await browser.sign_out()


async def test_a_success_resets_the_failures_of_all_device_cookies(app: Quart, alice: str, database: str) -> None:
    first, second = [with_device(app, await device_cookie(app)) for _ in range(2)]
    for _ in range(4):
        await first.sign_in("Alice", WRONG)
    assert run_sql(database, f"SELECT number FROM quartlogin_attempt_counters WHERE name = 'holders:{alice}'") == [(4,)]

    assert (await second.sign_in("Alice")).status == 302

    assert run_sql(database, f"SELECT number FROM quartlogin_attempt_counters WHERE name = 'holders:{alice}'") == []


@pytest.mark.requirement("6.3.8")
async def test_username_enumeration_a_sign_in_with_a_device_cookie_changes_no_response_to_strangers(
    app: Quart, alice: str, now: list[float]
) -> None:
    """Enumeration: a counter that vanishes tells that its account has an owner; see docs/security/attacks.md, 14."""
    cookie, waits = await device_cookie(app), {}
    for name in ("Alice", "Nobody"):
        for number in range(6):
            page = await guess(app, name, address=f"192.0.2.{number}")
        assert (await with_device(app, cookie).sign_in("Alice")).status == 302
        now[0] += 1
        waits[name] = [page.headers["Retry-After"], (await guess(app, name)).headers["Retry-After"]]

    assert waits["Alice"] == waits["Nobody"]


@pytest.mark.slow
@pytest.mark.requirement("N13", "6.3.1")
async def test_brute_force_from_many_logins_adds_up_per_account_and_a_sign_in_resets_it(
    app: Quart, alice: str, new_visitor: Callable[[], Visitor]
) -> None:
    logins = [new_visitor() for _ in range(25)]
    for login in logins:
        await login.sign_in("Alice")
    cookie = logins[0].cookies[DEVICE]

    answers = [(await login.fill_in("/reauthenticate", password=WRONG)).status for login in logins for _ in range(5)]

    assert answers == [400] * MAX_FAILURES + [429] * (125 - MAX_FAILURES)
    assert (await with_device(app, cookie).sign_in("Alice")).status == 429  # device cookies and logins have one limit
    assert (await new_visitor().sign_in("Alice")).status == 302  # a stranger's counter is another one
    assert (await with_device(app, cookie).sign_in("Alice")).status == 302
