"""NIST SP 800-63B-4: what it adds to ASVS for passwords and sessions."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import extract_parameters
from quart import Quart

from client import KEY, PASSWORD, Page, Visitor, add_user, with_cheap_hashes
from databases import run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.accounts.security.rate_limits import DelayPolicy
from quartlogin.webapp import create_app
from quartlogin.webapp.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")
WRONG = "not the right password"
MINUTE = 60
NewVisitor = Callable[[], Visitor]


@asynccontextmanager
async def serving(database: str, **settings: Any) -> AsyncIterator[Quart]:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, **settings))
    async with app.test_app():
        yield app


async def guess(app: Quart, password: str = WRONG) -> Page:
    """Somebody without any cookies tries a password of Alice's."""
    return await Visitor(app.test_client()).sign_in("Alice", password)


async def is_signed_in(app: Quart, cookies: dict[str, str]) -> bool:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return (await app.test_client(use_cookies=False).get("/account", headers={"Cookie": header})).status_code == 200


@pytest.mark.requirement("N1")
def test_password_length_minimum_is_that_of_a_single_factor_and_never_below_eight() -> None:
    bounds = re.search(r"(\d+) to \d+", Settings.__dataclass_fields__["password_min_length"].metadata["unit"])

    assert Settings().password_min_length == 15
    assert bounds is not None
    assert int(bounds[1]) == 8


@pytest.mark.requirement("N6")
@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ("Zoe\u0308 likes umlauts", "Zo\u00eb likes umlauts"),
        ("Zo\u00eb likes umlauts", "Zoe\u0308 likes umlauts"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af" * 7 + "!", "한글" * 7 + "!"),
        ("ñ" * 15, "n\u0303" * 15),
        ("\u212bngstro\u0308m, \u212bngstro\u0308m", "Ångström, Ångström"),
        ("a\u0323\u0307 dot below above", "a\u0307\u0323 dot below above"),
    ],
    ids=range(6),
)
async def test_passwords_are_normalized_before_hashing(new_visitor: NewVisitor, chosen: str, typed: str) -> None:
    assert (await new_visitor().register("Mallory", chosen)).status == 302
    assert (await new_visitor().sign_in("Mallory", typed)).status == 302


@pytest.mark.requirement("N6")
async def test_password_length_is_counted_after_normalization(new_visitor: NewVisitor) -> None:
    page = await new_visitor().register("Alice", "n\u0303" * 14)

    assert re.findall(r"\d+", page.errors_beside("password")) == ["15", "14"]


@pytest.mark.requirement("N12")
async def test_each_hash_has_its_own_salt_and_records_its_cost() -> None:
    passwords = PasswordHashing()
    one, other = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    passwords.close()

    parameters = extract_parameters(one)
    assert one.split("$")[4] != other.split("$")[4]
    assert parameters.salt_len * 8 >= 32
    assert (parameters.time_cost, parameters.memory_cost) >= (2, 19 * 1024)


@pytest.mark.requirement("N14")
async def test_rate_limit_delays_restart_after_a_success(app: Quart, now: list[float]) -> None:
    await add_user(app, "Alice")
    rule = DelayPolicy(Settings().login_rate_limit_per_account)
    for _ in range(6):
        await guess(app)
    now[0] += rule.delay_after(5)
    assert (await guess(app, PASSWORD)).status == 302

    answers = [await guess(app) for _ in range(6)]

    assert [page.status for page in answers] == [400] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == str(rule.delay_after(5))


@pytest.mark.requirement("N15")
async def test_each_login_has_a_session_secret_of_192_bits(app: Quart, new_visitor: NewVisitor) -> None:
    await add_user(app, "Alice")
    serializer = app.session_interface.get_signing_serializer(app)
    made = set()
    for _ in range(20):
        visitor = new_visitor()
        await visitor.sign_in("Alice")
        made.add(serializer.loads(visitor.cookies["quartlogin"])["_login_id"])

    assert len(made) == 20
    assert all(re.fullmatch(r"[\w-]{32}", secret) for secret in made)  # base64: 24 bytes


@pytest.mark.requirement("N16")
async def test_replay_of_a_session_cookie_after_its_login_ended_fails(
    app: Quart, visitor: Visitor, now: list[float], database: str
) -> None:
    await add_user(app, "Alice")
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    kept = visitor.cookies
    assert await is_signed_in(app, {"quartlogin": kept["quartlogin"]})

    await visitor.sign_out()

    for name in ("quartlogin", "quartlogin_remember"):
        assert not await is_signed_in(app, {name: kept[name]})
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]


@pytest.mark.requirement("N17")
async def test_remember_me_is_opt_in_and_a_restored_login_is_not_fresh(
    visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register("Alice")
    form = await new_visitor().get("/login")
    unasked = await new_visitor().sign_in("Alice")
    remembered = new_visitor()
    await remembered.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    remembered.client.delete_cookie("localhost", "quartlogin")

    [session] = [text for text in unasked.headers.getlist("Set-Cookie") if text.startswith("quartlogin=")]
    assert not re.search("Max-Age|Expires", session)
    [box] = re.findall(r'<input[^>]*name="remember"[^>]*>', form.text)
    assert "checked" not in box
    assert await remembered.is_signed_in()
    assert str((await remembered.get("/account/password")).location).startswith("/reauthenticate")


@pytest.mark.requirement("N18")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cookies_behind_a_proxy_are_always_secure(database: str, scheme: str) -> None:
    async with serving(database, TRUSTED_PROXIES=1) as app:
        visitor = Visitor(app.test_client())
        page = await visitor.get("/register", headers={"X-Forwarded-Proto": scheme})

    cookies = page.headers.getlist("Set-Cookie")
    assert cookies
    assert all(cookie.startswith("__Host-") and "; Secure" in cookie for cookie in cookies)


@pytest.mark.requirement("N19")
async def test_csrf_every_form_carries_the_token_of_its_session(visitor: Visitor, new_visitor: NewVisitor) -> None:
    phone = new_visitor()
    await visitor.register("Alice")
    await phone.sign_in("Alice")
    other = (await phone.get("/account")).token

    for token in (other, "", "0" * 64):
        assert (await visitor.post("/logout", {"csrf_token": token})).status == 400
    assert await visitor.is_signed_in()


@pytest.mark.requirement("N20")
async def test_cookies_are_scoped_narrowly_and_contain_no_personal_data(database: str) -> None:
    async with serving(database, TRUSTED_PROXIES=1) as app:
        https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
        client = app.test_client(use_cookies=False)
        await add_user(app, "Alice Liddell")
        first = await client.get("/login", headers=https)
        page = Page(first.status_code, await first.get_data(as_text=True), first.headers)
        session = first.headers["Set-Cookie"].partition(";")[0]
        answer = await client.post(
            "/login",
            form={"csrf_token": page.token, "username": "Alice Liddell", "password": PASSWORD, "remember": "y"},
            headers={**https, "Cookie": session},
        )
        serializer = app.session_interface.get_signing_serializer(app)

    cookies = answer.headers.getlist("Set-Cookie")
    assert answer.status_code == 302
    assert sorted(cookie.partition("=")[0] for cookie in cookies) == [
        "__Host-quartlogin",
        "__Host-quartlogin_browser",
        "__Host-quartlogin_remember",
    ]
    assert all({"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; ")) for cookie in cookies)
    assert not [cookie for cookie in cookies if "Domain" in cookie]
    [kept] = [
        cookie.partition("=")[2].partition(";")[0] for cookie in cookies if cookie.startswith("__Host-quartlogin=")
    ]
    assert "Alice" not in str(dict(serializer.loads(kept)))


#: Idle and absolute limits in minutes, as the documentation has them for each assurance level.
PRESETS = re.findall(r"`LOGIN_IDLE_TIMEOUT=(\d+)` and `LOGIN_LIFETIME=(\d+)`", PAGE)


@pytest.mark.requirement("N21")
def test_default_timeouts_are_within_the_limits_of_nist() -> None:
    defaults = Settings()

    assert defaults.login_lifetime <= 30 * 24 * 60
    assert [(int(idle), int(lifetime)) for idle, lifetime in PRESETS] == [(60, 24 * 60), (15, 12 * 60)]


@pytest.mark.requirement("N21", "N22")
@pytest.mark.parametrize(("idle", "lifetime"), PRESETS)
async def test_session_timeouts_end_a_login_and_restart_at_reauthentication(
    database: str, now: list[float], idle: str, lifetime: str
) -> None:
    idle_time, whole_time = int(idle) * MINUTE, int(lifetime) * MINUTE
    settings = {"LOGIN_IDLE_TIMEOUT": int(idle), "LOGIN_LIFETIME": int(lifetime)}
    async with serving(database, **settings) as app:
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")
        begun = now[0]

        async def is_in_after(seconds: int) -> bool:
            now[0] += seconds
            is_in = await visitor.is_signed_in()
            await get_accounts(app).user_loader.last_seen.flush()
            return is_in

        step = idle_time - 2 * MINUTE  # when it was seen last is known to a minute
        for _ in range((whole_time - 1) // step):
            assert await is_in_after(step)  # activity lets the idle time begin anew
        now[0] = begun + whole_time - 1
        assert (await visitor.fill_in("/reauthenticate", password=PASSWORD)).status == 302
        for _ in range((whole_time - 1) // step):
            assert await is_in_after(step)  # past the first absolute limit
        now[0] = begun + 2 * whole_time - 1
        assert not await visitor.is_signed_in()

        await visitor.sign_in("Alice")
        assert not await is_in_after(idle_time + 1)
