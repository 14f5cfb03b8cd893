"""Signing in and out, through the pages."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from quart import Quart

from client import PASSWORD, Visitor, everything_stored, set_active
from databases import both_databases
from quartlogin.accounts.features.passwords.pages import FAILED

pytestmark = both_databases
NewVisitor = Callable[[], Visitor]


async def test_the_right_password_signs_in(alice: str, visitor: Visitor) -> None:
    page = await visitor.sign_in("Alice")

    assert (page.status, page.location) == (302, "/")
    assert "Hello, Alice." in (await visitor.get("/")).text


@pytest.mark.parametrize("typed", ["alice", "ALICE", " Alice ", "Ａlice"])
async def test_a_name_may_be_typed_in_any_case_and_width(alice: str, visitor: Visitor, typed: str) -> None:
    await visitor.sign_in(typed)

    assert await visitor.is_signed_in()


@pytest.mark.requirement("V12")
@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("Alice", "wrong horse battery staple"),
        ("Alice", ""),
        ("Alice", PASSWORD + " "),
        ("Alice", PASSWORD.upper()),
        ("Alice", "x" * 1025),
        ("Bob", PASSWORD),
        ("", PASSWORD),
        ("x" * 2000, PASSWORD),
        ("Alice\x00", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("{{7*7}}", "{{7*7}}"),
    ],
)
async def test_username_enumeration_every_wrong_sign_in_gets_the_same_page(
    alice: str, visitor: Visitor, username: str, password: str
) -> None:
    page = await visitor.sign_in(username, password)

    assert page.status == 400
    assert page.errors_beside("password") == FAILED.format("username")
    assert not await visitor.is_signed_in()


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.requirement("V12")
async def test_username_enumeration_a_disabled_user_gets_the_response_of_a_wrong_password(
    app: Quart, alice: str, new_visitor: NewVisitor
) -> None:
    await set_active(app, "alice", active=False)
    wrong, disabled = new_visitor(), new_visitor()

    wrong_page = await wrong.sign_in("Alice", "wrong horse battery staple")
    disabled_page = await disabled.sign_in("Alice", PASSWORD)

    assert disabled_page.text.replace(disabled_page.token, "") == wrong_page.text.replace(wrong_page.token, "")
    assert disabled_page.status == wrong_page.status
    assert not await disabled.is_signed_in()


@pytest.mark.requirement("7.4.2")
@pytest.mark.requirement("8.3.2")
async def test_disabling_a_user_ends_a_running_session_at_the_next_request(
    app: Quart, alice: str, visitor: Visitor
) -> None:
    await visitor.sign_in()

    await set_active(app, "alice", active=False)

    assert not await visitor.is_signed_in()
    assert "Alice" not in (await visitor.get("/")).text


async def test_the_typed_name_is_kept_and_the_password_never_sent_back(alice: str, visitor: Visitor) -> None:
    page = await visitor.sign_in("Alicia", "wrong horse battery staple")

    assert 'value="Alicia"' in page.text
    assert "wrong horse" not in page.text


@pytest.mark.requirement("3.2.2")
@pytest.mark.requirement("1.2.1")
async def test_xss_a_hostile_name_is_escaped(visitor: Visitor) -> None:
    page = await visitor.sign_in('"><script>alert(1)</script>')

    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_signing_in_leads_back_to_the_page_that_was_asked_for(alice: str, visitor: Visitor) -> None:
    asked = await visitor.get("/account")

    page = await visitor.get(str(asked.location))
    answer = await visitor.post(
        "/login", {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "next": "/account"}
    )

    assert page.text.count('role="status"') == 1
    assert 'name="next" value="/account"' in page.text
    assert answer.location == "/account"


@pytest.mark.requirement("3.7.2")
@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"]
)
async def test_open_redirect_sign_in_never_leads_to_another_site(alice: str, visitor: Visitor, target: str) -> None:
    page = await visitor.get("/login", query_string={"next": target})

    in_form = await visitor.post(
        "/login", {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "next": target}
    )
    when_signed_in = await visitor.get("/login", query_string={"next": target})

    assert in_form.location == "/"
    assert when_signed_in.location == "/"


@pytest.mark.requirement("7.2.2")
async def test_session_fixation_every_sign_in_gets_a_new_login_id(app: Quart, alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()
    first = visitor.cookies["quartlogin"]
    await visitor.sign_out()
    await visitor.sign_in()

    serializer = app.session_interface.get_signing_serializer(app)
    assert serializer.loads(first)["_login_id"] != serializer.loads(visitor.cookies["quartlogin"])["_login_id"]


@pytest.mark.requirement("3.5.3")
async def test_csrf_a_link_does_not_sign_out(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()

    page = await visitor.get("/logout")

    assert page.status == 200
    assert await visitor.is_signed_in()


async def test_signing_out_shows_one_notice_and_leaves_no_cookie(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()

    await visitor.sign_out()

    assert [(await visitor.get("/")).text.count('role="status"') for _ in range(2)] == [1, 0]
    assert visitor.cookies.keys() == {"quartlogin_browser"}  # which opens nothing


async def test_signing_out_twice_does_no_harm(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()
    token = (await visitor.get("/")).token
    await visitor.post("/logout", {"csrf_token": token})

    page = await visitor.post("/logout", {"csrf_token": token})

    assert (page.status, page.location) == (302, "/")


async def test_a_signed_in_user_is_redirected_from_the_login_page(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()

    assert (await visitor.get("/login")).location == "/"
    assert (await visitor.get("/register")).location == "/"


@pytest.mark.requirement("C4")
@pytest.mark.requirement("14.3.3")
async def test_the_session_cookie_says_nothing_about_the_person(app: Quart, alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.get("/")

    session = app.session_interface.get_signing_serializer(app).loads(visitor.cookies["quartlogin"])

    assert set(session) == {"_user_id", "_login_id", "_fresh", "_fresh_at", "_id"}
    assert "Alice" not in str(session)


@pytest.mark.requirement("7.4.4")
@pytest.mark.parametrize("path", ["/", "/account", "/logout"])
async def test_every_page_of_a_signed_in_user_offers_to_sign_out(alice: str, visitor: Visitor, path: str) -> None:
    await visitor.sign_in()

    page = await visitor.get(path)

    assert '<form method="post" action="/logout">' in page.text
    assert page.token


async def test_remember_me_signs_in_without_a_session(alice: str, visitor: Visitor) -> None:
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    visitor.client.delete_cookie("localhost", "quartlogin")

    home = await visitor.get("/")

    assert "Hello, Alice." in home.text


async def test_without_remember_me_no_login_is_restored(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()

    assert visitor.cookies.keys() == {"quartlogin", "quartlogin_browser"}


async def test_signing_out_forgets(alice: str, visitor: Visitor) -> None:
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")

    await visitor.sign_out()
    await visitor.get("/")

    assert visitor.cookies.keys() == {"quartlogin_browser"}  # which opens nothing


async def test_a_login_is_remembered_for_thirty_days_at_most(alice: str, visitor: Visitor) -> None:
    page = await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")

    [cookie] = [text for text in page.headers.getlist("Set-Cookie") if text.startswith("quartlogin_remember=")]
    expires = parsedate_to_datetime(re.search(r"Expires=([^;]+)", cookie)[1])
    assert timedelta(days=29, hours=23) < expires - datetime.now(UTC) <= timedelta(days=30)
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


@pytest.mark.requirement("14.3.1")
async def test_signing_out_has_the_browser_throw_away_what_it_kept(alice: str, visitor: Visitor) -> None:
    await visitor.sign_in()

    page = await visitor.sign_out()

    assert page.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "Clear-Site-Data" not in (await visitor.get("/")).headers


async def test_after_a_remembered_sign_in_has_ended_the_form_works_at_the_first_try(
    alice: str, app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    other = new_visitor()
    await other.sign_in()
    page = await other.get("/account")
    await other.post("/account/logins/revoke-others", {"csrf_token": page.token})

    assert (await visitor.sign_in()).status == 302


@pytest.mark.requirement("7.2.3")
async def test_the_database_has_a_hash_of_a_logins_id_and_nowhere_the_id_itself(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await visitor.register()
    serializer = app.session_interface.get_signing_serializer(app)
    login_id = serializer.loads(visitor.cookies["quartlogin"])["_login_id"]

    assert login_id not in str(everything_stored(database))
    assert hashlib.sha256(login_id.encode()).hexdigest() in str(everything_stored(database))
