"""CSRF, login CSRF and session fixation, tried on every form."""

import re
from collections.abc import Callable

import pytest
from quart import Quart

from client import PASSWORD, Page, Visitor, add_user, everything_stored, header_of, make_token, who_is
from slow import mostly_slow

NewVisitor = Callable[[], Visitor]

FORMS = [
    "/login",
    "/logout",
    "/register",
    "/reauthenticate",
    "/account/password",
    "/account/delete",
    "/account/tokens",
    "/account/tokens/{token}/revoke",
    "/account/logins/{login}/revoke",
    "/account/logins/revoke-others",
]
#: Everything that some form asks for, filled in as it should be.
FIELDS = {
    "username": "Mallory",
    "password": PASSWORD,
    "current_password": PASSWORD,
    "new_password": "another sentence, as long",
    "name": "backup",
    "days": "1",
}
URL_ENCODED = "application/x-www-form-urlencoded"


@pytest.fixture
async def alice(app: Quart, new_visitor: NewVisitor) -> Visitor:
    """Signed in in two browsers, with an API token."""
    visitor = new_visitor()
    await visitor.register("Alice")
    await new_visitor().sign_in("Alice")
    await make_token(visitor)
    return visitor


async def path_of(form: str, visitor: Visitor) -> str:
    page = (await visitor.get("/account")).text
    found = {kind: re.findall(rf"/account/{kind}s/(\w+)/revoke\"", page)[-1] for kind in ("token", "login")}
    return form.format(**found)


def test_csrf_tests_cover_every_form(app: Quart) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}

    assert {re.sub(r"<\w+>", "*", rule) for rule in rules} == {re.sub(r"{\w+}", "*", form) for form in FORMS}


@pytest.mark.requirement("3.5.1", "C12")
@pytest.mark.parametrize("form", mostly_slow(FORMS, quick=3))
async def test_csrf_tokens_of_another_session_are_rejected(
    alice: Visitor, new_visitor: NewVisitor, database: str, form: str
) -> None:
    path, own = await path_of(form, alice), (await alice.get("/")).token
    mallory = new_visitor()
    before_sign_in = (await mallory.get("/login")).token
    await mallory.register("Mallet")
    anothers = (await mallory.get("/")).token
    stored = everything_stored(database)
    tokens = ["", "0" * 64, own[:-1], own + "0", own.upper(), f" {own}", own[::-1], "é" * 64, before_sign_in, anothers]

    answers = [await alice.post(path, FIELDS)]
    answers += [await alice.post(path, {**FIELDS, "csrf_token": token}) for token in tokens]
    answers += [await alice.post(path, {**FIELDS, "CSRF_TOKEN": own})]

    assert {answer.status for answer in answers} == {400}
    assert not [answer for answer in answers if "Set-Cookie" in answer.headers]
    assert everything_stored(database) == stored
    assert await alice.is_signed_in()


@pytest.mark.requirement("3.5.1", "C12")
@pytest.mark.parametrize("form", mostly_slow(FORMS, quick=3))
async def test_csrf_tokens_count_only_in_the_body(alice: Visitor, database: str, form: str) -> None:
    path, own = await path_of(form, alice), (await alice.get("/")).token
    stored, cookies = everything_stored(database), header_of({**alice.cookies, "csrf_token": own})

    in_query = await alice.post(f"{path}?csrf_token={own}", FIELDS)
    in_header = await alice.post(path, FIELDS, headers={"X-CSRF-Token": own, "X-CSRFToken": own, "X-XSRF-Token": own})
    in_cookie = await alice.post(path, FIELDS, headers=cookies)

    assert [answer.status for answer in (in_query, in_header, in_cookie)] == [400, 400, 400]
    assert everything_stored(database) == stored


CROSS_SITE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:5001"},
    {"Origin": "http://sub.localhost"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
]


@pytest.mark.requirement("3.5.1", "3.5.2", "C12", "C13")
async def test_csrf_a_cross_site_post_with_a_valid_token_is_rejected(alice: Visitor, database: str) -> None:
    own, paths = (await alice.get("/")).token, [await path_of(form, alice) for form in FORMS]
    stored = everything_stored(database)

    answers = [
        (path, headers, await alice.post(path, {**FIELDS, "csrf_token": own}, headers=headers))
        for path in paths
        for headers in CROSS_SITE
    ]

    assert [(path, headers) for path, headers, answer in answers if answer.status != 403] == []
    assert [(path, headers) for path, headers, answer in answers if "Set-Cookie" in answer.headers] == []
    assert everything_stored(database) == stored
    assert await alice.is_signed_in()


@pytest.mark.requirement("3.5.2")
async def test_csrf_other_content_types_are_rejected(alice: Visitor, database: str) -> None:
    own, paths = (await alice.get("/")).token, [await path_of(form, alice) for form in FORMS]
    stored = everything_stored(database)
    body = "&".join(f"{name}={value}" for name, value in {**FIELDS, "csrf_token": own}.items()).replace(" ", "+")

    accepted = [
        (path, kind)
        for path in paths
        for kind in ("text/plain", "application/json", "multipart/form-data; boundary=b", "")
        if (await alice.request("POST", path, data=body.encode(), headers={"Content-Type": kind})).status != 415
    ]

    assert accepted == []
    assert everything_stored(database) == stored


@pytest.mark.requirement("3.5.3")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_csrf_get_requests_change_nothing(alice: Visitor, database: str, method: str) -> None:
    own, paths = (await alice.get("/")).token, [await path_of(form, alice) for form in FORMS]
    stored, cookies = everything_stored(database), alice.cookies
    statuses = set()

    for path in paths:
        answer = await alice.request(method, path, query_string={**FIELDS, "csrf_token": own, "_method": "POST"})
        overridden = await alice.request(method, path, headers={"X-HTTP-Method-Override": "POST"})
        statuses |= {answer.status, overridden.status}

    assert statuses <= {200, 302, 405}
    assert everything_stored(database) == stored
    assert alice.cookies == cookies
    assert await alice.is_signed_in()


@pytest.mark.requirement("3.5.1", "C12", "V3")
async def test_login_csrf_cannot_sign_a_victim_in_as_the_attacker(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """Login CSRF: the attacker's own token and name, sent by the victim's browser, which has no session or another."""
    await add_user(app, "Mallory")
    token = (await new_visitor().get("/login")).token
    fields = {"csrf_token": token, "username": "Mallory", "password": PASSWORD}

    without_session = await visitor.post("/login", fields)
    await visitor.get("/login")
    with_another = await visitor.post("/login", fields)

    assert [without_session.status, with_another.status] == [400, 400]
    assert not await visitor.is_signed_in()


@pytest.mark.requirement("C12")
async def test_session_fixation_the_session_of_the_login_form_is_dropped_at_sign_in(
    app: Quart, visitor: Visitor
) -> None:
    await add_user(app, "Alice")
    token = (await visitor.get("/login")).token
    before = visitor.cookies["quartlogin"]
    await visitor.post("/login", {"csrf_token": token, "username": "Alice", "password": PASSWORD})

    with_old_token = await visitor.post("/logout", {"csrf_token": token})
    with_old_session = await app.test_client(use_cookies=False).post(
        "/account/logins/revoke-others", form={"csrf_token": token}, headers=header_of({"quartlogin": before})
    )

    assert with_old_token.status == 400
    assert with_old_session.status_code == 302
    assert with_old_session.headers["Location"].startswith("/login")
    assert await who_is(app, **header_of(visitor.cookies)) == "Alice"


@pytest.mark.requirement("C13")
async def test_csrf_without_origin_headers_the_token_decides(alice: Visitor) -> None:
    own = (await alice.get("/")).token

    wrong = await alice.post("/logout", {"csrf_token": "0" * 64})
    right = await alice.post("/logout", {"csrf_token": own})

    assert (wrong.status, right.status) == (400, 302)


@pytest.mark.requirement("C12")
async def test_csrf_tokens_are_in_no_url_and_no_cookie(alice: Visitor) -> None:
    pages: list[Page] = [await alice.get(path) for path in ("/", "/account", "/account/password", "/account/delete")]
    token = pages[0].token

    addresses = [address for page in pages for address in re.findall(r'(?:href|action|src)="([^"]*)"', page.text)]

    assert {page.token for page in pages} == {token}
    assert not [address for address in addresses if token in address]
    assert token not in "".join(alice.cookies.values())


@pytest.mark.requirement("3.5.1", "C12")
async def test_csrf_a_cross_site_post_cannot_replace_the_session(app: Quart) -> None:
    """Browsers send no Lax cookie with it, so it looks like a new visitor's; but they would keep one of the answer."""
    client = app.test_client(use_cookies=False)
    pages = [*FORMS, "/", "/account", "/nowhere", "/static/accounts/style.css", "/account/live"]
    paths = [re.sub(r"{\w+}", "0" * 16, page) for page in pages]

    by_origin = [await client.post(path, form=FIELDS, headers={"Origin": "https://evil.example"}) for path in paths]
    by_fetch_site = [await client.post(path, form=FIELDS, headers={"Sec-Fetch-Site": "cross-site"}) for path in paths]

    for answer in (*by_origin, *by_fetch_site):
        assert answer.status_code in {400, 403, 404, 405}
        assert "Set-Cookie" not in answer.headers
