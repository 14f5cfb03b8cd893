"""CSRF, Host header attacks and malformed requests."""

import re
import unicodedata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from quart import Quart

from client import KEY, PASSWORD, Visitor, add_user, with_cheap_hashes
from quartlogin.accounts.features.passwords import hashing, policy
from quartlogin.accounts.pages.error_pages import PAGES
from quartlogin.accounts.users import own
from quartlogin.webapp import create_app, middleware
from slow import mostly_slow

NewVisitor = Callable[[], Visitor]
FORM = "application/x-www-form-urlencoded"
FORMS = ["/login", "/register", "/logout"]


@pytest.fixture
async def signed_in(visitor: Visitor) -> Visitor:
    await visitor.register("Alice")
    await visitor.get("/")
    return visitor


@pytest.mark.requirement("3.5.1")
@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", mostly_slow([None, "", "0" * 64, "é", "x" * 5000], quick=2))
async def test_csrf_a_form_without_its_token_is_rejected_and_changes_nothing(
    signed_in: Visitor, path: str, token: str | None
) -> None:
    before = dict(signed_in.cookies)
    fields = {"username": "Bob", "password": PASSWORD} | ({} if token is None else {"csrf_token": token})

    page = await signed_in.post(path, fields)

    assert page.status == 400
    assert signed_in.cookies == before
    assert await signed_in.is_signed_in()


@pytest.mark.requirement("C12")
@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_a_refused_form_never_sets_a_cookie(new_visitor: NewVisitor, path: str) -> None:
    """Browsers send no Lax cookie with a post from elsewhere, but they would take one from its answer."""
    page = await new_visitor().post(path, {"username": "Bob", "password": PASSWORD})

    assert page.status == 400
    assert "Set-Cookie" not in page.headers


@pytest.mark.requirement("3.5.1", "C12")
async def test_csrf_the_token_of_another_session_is_rejected(signed_in: Visitor, new_visitor: NewVisitor) -> None:
    stranger = new_visitor()
    await stranger.register("Mallory")

    page = await signed_in.post("/logout", {"csrf_token": (await stranger.get("/")).token})

    assert page.status == 400


@pytest.mark.requirement("C12", "V29")
async def test_csrf_tokens_are_renewed_at_sign_in(visitor: Visitor) -> None:
    before = (await visitor.get("/register")).token
    await visitor.post("/register", {"csrf_token": before, "username": "Alice", "password": PASSWORD})

    page = await visitor.post("/logout", {"csrf_token": before})

    assert page.status == 400
    assert (await visitor.get("/")).token != before


@pytest.mark.requirement("V6")
@pytest.mark.requirement("11.2.2")
async def test_csrf_tokens_survive_a_key_rotation(database: str) -> None:
    old = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY="an old key of more than 32 characters"))
    new = with_cheap_hashes(
        create_app(DATABASE=database, SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=["an old key of more than 32 characters"])
    )

    async with old.test_app(), new.test_app():
        before, after = Visitor(old.test_client()), Visitor(new.test_client())
        token = (await before.get("/register")).token
        after.client.set_cookie("localhost", "quartlogin", before.cookies["quartlogin"])
        page = await after.post("/register", {"csrf_token": token, "username": "Alice", "password": PASSWORD})

    assert page.status == 302


@pytest.mark.requirement("3.5.1", "C13")
@pytest.mark.parametrize(
    "headers",
    mostly_slow(
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:5001"},
            {"Origin": "http://localhost.evil.example"},
            {"Origin": "http://["},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "anything"},
        ],
        quick=3,
    ),
    ids=str,
)
@pytest.mark.parametrize("path", FORMS)
async def test_csrf_a_post_with_a_foreign_origin_is_rejected_despite_its_token(
    signed_in: Visitor, path: str, headers: dict[str, str]
) -> None:
    token = (await signed_in.get("/")).token
    fields = {"csrf_token": token, "username": "Alice", "password": PASSWORD}

    page = await signed_in.post(path, fields, headers=headers)

    assert page.status == 403
    assert "Set-Cookie" not in page.headers
    assert await signed_in.is_signed_in()


@pytest.mark.requirement("C13")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://localhost"},
    ],
    ids=str,
)
async def test_csrf_same_origin_posts_are_accepted(signed_in: Visitor, headers: dict[str, str]) -> None:
    token = (await signed_in.get("/")).token

    page = await signed_in.post("/logout", {"csrf_token": token}, headers=headers)

    assert page.status == 302


@pytest.mark.requirement("3.5.2", "V9")
@pytest.mark.requirement("15.3.5")
@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_a_body_that_no_form_sends_is_refused(visitor: Visitor, path: str) -> None:
    for body, content_type, status in [
        (b"x=1", "text/plain", 415),
        (b"{}", "application/json", 415),
        (b"x=1", "", 415),
        (b"--b\r\n\r\n--b--", "multipart/form-data; boundary=b", 415),
        (b"username=%ff", "application/x-www-form-urlencoded", 400),
        (b"username=\xff", "application/x-www-form-urlencoded", 400),
        (b"username=%ed%a0%80", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % n for n in range(30)), "application/x-www-form-urlencoded", 400),
        (b"username=a&username=b", "application/x-www-form-urlencoded", 400),
        (b"username=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"username=a", "application/x-www-form-urlencoded; charset=latin-1", 400),
        (b"%%%", "application/x-www-form-urlencoded", 400),
    ]:
        page = await visitor.request("POST", path, data=body, headers={"Content-Type": content_type})

        assert (body[:100], page.status) == (body[:100], status)
        assert "<h1>" in page.text
        assert "Traceback" not in page.text


@pytest.mark.parametrize(
    "host",
    mostly_slow(
        [
            "..",
            ".",
            "a..b",
            "-\x7f",
            "exa mple",
            "a/b",
            "a@b",
            "é",
            "[::1",
            "[zz]",
            "a:b",
            "a:99999",
            "x" * 300,
            "a,b",
            "",
        ],
        quick=3,
    ),
    ids=ascii,
)
@pytest.mark.parametrize("path", ["/", "/login", "/static/accounts/style.css", "/nowhere"])
async def test_host_header_malformed_is_rejected(app: Quart, path: str, host: str) -> None:
    visitor = Visitor(app.test_client(use_cookies=False))  # a cookie jar cannot make sense of these

    page = await visitor.get(path, headers={"Host": host})

    assert page.status == 400


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "example.com", "127.0.0.1:80", "[::1]:5000", "a_b-c.d."]
)
async def test_host_header_well_formed_is_served(visitor: Visitor, host: str) -> None:
    page = await visitor.get("/", headers={"Host": host})

    assert page.status == 200


@pytest.mark.requirement("7.2.1", "V22")
@pytest.mark.parametrize(
    "cookie",
    ["", "x", "x.y.z", ".", "..", "é", "\x00", "a" * 100_000, "eyJfdXNlcl9pZCI6IjEifQ.ZZZZZZ.AAAA", ".eJw.x.y"],
    ids=lambda cookie: ascii(cookie[:30]),
)
async def test_a_broken_session_cookie_is_an_anonymous_visitor(visitor: Visitor, cookie: str) -> None:
    page = await visitor.get("/", headers={"Cookie": f"quartlogin={cookie}"})

    assert page.status == 200
    assert "Sign in" in page.text


async def test_a_session_under_another_key_is_an_anonymous_visitor(signed_in: Visitor, tmp_path: object) -> None:
    other = with_cheap_hashes(create_app(DATABASE=f"{tmp_path}/other.sqlite3", SECRET_KEY=KEY[::-1]))

    async with other.test_app():
        visitor = Visitor(other.test_client())
        page = await visitor.get("/", headers={"Cookie": f"quartlogin={signed_in.cookies['quartlogin']}"})

    assert page.status == 200
    assert "Alice" not in page.text


@pytest.mark.requirement("15.3.5")
@pytest.mark.parametrize(
    "user_id",
    [
        "1",
        "",
        " ",
        "１",
        "x" * 22 + "\n",
        "é" * 22,
        "x" * 10_000,
        "a\x00b",
        "'; DROP TABLE quartlogin_users; --",
        "x" * 22,
    ],
)
async def test_an_unknown_user_id_is_an_anonymous_visitor(app: Quart, visitor: Visitor, user_id: str) -> None:
    cookie = app.session_interface.get_signing_serializer(app).dumps({"_user_id": user_id})

    page = await visitor.get("/", headers={"Cookie": f"quartlogin={cookie}"})

    assert page.status == 200
    assert "Sign in" in page.text


@pytest.mark.requirement("4.1.4")
@pytest.mark.parametrize("path", ["/", "/login", "/logout", "/register", "/account"])
async def test_other_methods_are_refused(visitor: Visitor, path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "FOO"):
        page = await visitor.request(method, path)

        assert page.status == 405
        assert f"<h1>{PAGES[405][0]}</h1>" in page.text
        assert "GET" in page.headers["Allow"]


@pytest.mark.requirement("13.4.1", "13.4.3")
@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/%ff",
        "/..%2f..%2fetc/passwd",
        "/static/accounts/../settings.py",
        "/static/accounts/%2e%2e/cli.py",
        "/.git/HEAD",
        "/static/accounts/",
        "//evil.example/%2f..",
    ],
)
async def test_a_path_to_nothing_is_not_found(visitor: Visitor, path: str) -> None:
    page = await visitor.get(path)

    assert page.status in {404, 308}
    assert "Traceback" not in page.text


@pytest.mark.requirement("14.2.1")
async def test_credentials_in_the_query_do_not_sign_in(app: Quart, visitor: Visitor) -> None:
    await add_user(app, "Alice")

    await visitor.get("/login", query_string={"username": "Alice", "password": PASSWORD})

    assert not await visitor.is_signed_in()


@pytest.mark.parametrize(
    "path", ["/" + "x" * 3000, "/static/accounts/" + "x" * 300, "/static/accounts/" + "é" * 128, "/a/" + "x" * 256]
)
async def test_a_part_of_a_path_that_no_file_could_be_named_is_refused(visitor: Visitor, path: str) -> None:
    page = await visitor.get(path)

    assert page.status == 400


@pytest.mark.parametrize("path", ["/static/accounts/style.css", "/favicon.ico"])
@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 99999999999999 00:00:00 GMT",
        "Thu, 01 Jan 2020 00:00:00 +99999999999999999999",
        "never",
        "",
        "\xff",
    ],
    ids=ascii,
)
async def test_a_date_that_is_none_is_passed_over(visitor: Visitor, path: str, date: str) -> None:
    page = await visitor.get(path, headers={"If-Modified-Since": date, "If-Unmodified-Since": date})

    assert page.status == 200


async def test_a_date_that_is_one_still_counts(visitor: Visitor) -> None:
    page = await visitor.get(
        "/static/accounts/style.css", headers={"If-Modified-Since": "Wed, 01 Jan 2098 00:00:00 GMT"}
    )

    assert page.status == 304


@pytest.mark.parametrize("host", ["xn--a", "xn--", "xn--zzzzzz"])
@pytest.mark.parametrize("path", ["/", "/account"])
async def test_host_header_with_invalid_punycode_is_rejected(app: Quart, path: str, host: str) -> None:
    page = await Visitor(app.test_client(use_cookies=False)).get(path, headers={"Host": host})

    assert page.status == 400


@pytest.mark.requirement("15.2.2")
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Host", "a." * 500),
        ("If-Modified-Since", "Mon, " * 200 + "01 Jan 2098 00:00:00 GMT"),
    ],
)
async def test_a_header_that_is_too_long_for_what_it_is_is_not_parsed(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, header: str, value: str
) -> None:
    parsed: list[str] = []
    host, date = middleware._HOST, middleware.parse_date
    noting = SimpleNamespace(fullmatch=lambda text: parsed.append(text) or host.fullmatch(text))
    monkeypatch.setattr(middleware, "_HOST", noting)
    monkeypatch.setattr(middleware, "parse_date", lambda text: parsed.append(text) or date(text))

    page = await visitor.get("/static/accounts/style.css", headers={header: value})

    assert page.status == (400 if header == "Host" else 200)
    assert value not in parsed


#: Marks that normalising has to order (with the square of their number), letters that it makes 18 of, and a plain one.
SLOW = {"marks": "\u0345\u0334", "one of 18": "\ufdfa", "plain": "x", "decomposed": "e\u0301\u0316"}


class Normalized:
    """Counts what is normalised, before and after, and what passwords are compared with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before: list[int] = []
        self.after: list[int] = []
        self.marks: list[int] = []
        self.words: list[set[str]] = []
        normalize, is_context_specific = unicodedata.normalize, policy.is_context_specific

        def count(form: Any, text: str) -> str:
            self.before.append(len(text))
            self.marks.append(max(map(len, re.findall("[\u0300-\u036f]+", text)), default=0))
            self.after.append(len(normalize(form, text)))
            return normalize(form, text)

        for module in (own, hashing, policy):
            monkeypatch.setattr(module, "normalize", count)

        def note(password: str, words: set[str]) -> bool:
            self.words.append(words)
            return is_context_specific(password, words)

        monkeypatch.setattr(policy, "is_context_specific", note)


@pytest.mark.requirement("15.2.2")
@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("field", ["username", "password"])
@pytest.mark.parametrize("text", mostly_slow(SLOW.values(), quick=2), ids=SLOW)
@pytest.mark.parametrize("size", mostly_slow([64, 256, 1024, 3000, 30_000], quick=1))
async def test_what_is_normalised_is_bounded_before_and_after(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, path: str, field: str, text: str, size: int
) -> None:
    """Denial of service: composing 30,000 marks in the wrong order took the event loop 1.5 seconds, 3,000 still 17 ms;
    a name of 1,024 letters of which each is 18 made a password's comparison take 57."""
    page = await visitor.get(path)
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, field: (text * size)[:size]}
    normalized = Normalized(monkeypatch)

    await visitor.request("POST", path, data=urlencode(fields), headers={"Content-Type": FORM})

    before, after, marks = (256, 18 * 64, 256) if field == "username" else (3 * 1024, 3 * 1024, 30)
    assert max(normalized.before, default=0) <= before
    assert max(normalized.after, default=0) <= after
    assert max(normalized.marks, default=0) <= marks
    assert sum(len(word) for words in normalized.words for word in words) < 512


@pytest.mark.requirement("15.2.2")
@pytest.mark.parametrize("name", ["\ufdfa" * 64, "\ufdfa" * 1024, "x" * 65, "two  spaces", "@", "a\u200bb", "\x00"])
async def test_what_is_no_name_is_nothing_that_a_password_is_compared_with(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    normalized = Normalized(monkeypatch)

    for username in (name, "Alice"):
        await visitor.fill_in("/register", username=username, password=PASSWORD + "!")

    assert normalized.words == [{"Quartlogin"}, {"Quartlogin", "Alice"}]


async def test_guards_do_not_make_a_location_that_is_too_long(visitor: Visitor) -> None:
    page = await visitor.get("/account?" + "%22" * 4000)

    assert page.location == "/login"
