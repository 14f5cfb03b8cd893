"""Open redirects: `safe_next`, `login_url` and `make_next_param`."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quart import Quart

from amounts import examples
from payloads import NEXTS
from quartlogin import login_url, make_next_param, safe_next

GOOD = [
    "/",
    "/account",
    "/account/",
    "/account?tab=2",
    "/account?",
    "/account#sessions",
    "/a/b/c.html",
    "/search?q=a+b&lang=en",
    "/search?q=%20",
    "/?next=/other",
    "/?url=https://elsewhere.example/",
    "/login?next=%2F%2Felsewhere.example",
    "/a:b",
    "/at/12:30",
    "/@ada",
    "/ada@home.example",
    "/~ada",
    "/a;b=c",
    "/a//b",
    "/a/../b",
    "/ünïcode",
    "/日本語?q=日本",
    "/emoji/🦊",
    "/list?ids[]=1&ids[]=2",
    "/%2F%2Felsewhere.example",
    "/.well-known/change-password",
    "/" + "a" * 2047,
]


@pytest.mark.parametrize("target", GOOD, ids=lambda target: ascii(target)[:40])
def test_a_path_on_this_site_is_returned_as_it_is(target: str) -> None:
    assert safe_next(target) == target


@pytest.mark.requirement("3.7.2", "C16", "V1", "V2")
def test_open_redirect_payloads_are_rejected_by_safe_next() -> None:
    assert [target for target in NEXTS if safe_next(target) is not None] == []


def test_nothing_is_refused_without_an_error() -> None:
    assert safe_next(None) is None


def stays_on_this_site(target: str) -> bool:
    """Tell as the WHATWG URL standard does: a path that starts with one slash, whatever was stripped."""
    seen = re.sub("[\t\n\r]", "", target.strip("".join(map(chr, range(0x21))))).replace("\\", "/")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", seen)
    return scheme is None and seen.startswith("/") and not seen.startswith("//")


PIECES = st.sampled_from(
    [
        *("/", "//", "\\", "http:", "https://", "javascript:", "@", ":", "?", "#", "[", "]", ".", "..", "%2f"),
        *("%5c", "\t", "\n", "\r", "\0", "\x0b", " ", "\x7f", "\xa0", "\u2028", "\ufeff", "\ud800", "／", "。"),
        *("elsewhere.example", "localhost", "account", "\u200b", "℀", ";", "&", "="),
    ]
)
TARGETS = st.one_of(
    st.text(),
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "".join(pieces)),
    st.text().map(lambda text: "/" + text),
)


@pytest.mark.slow
@pytest.mark.requirement("3.7.2", "V2")
@given(TARGETS)
@example("/\t/elsewhere.example")
@example("/\\elsewhere.example")
@settings(max_examples=examples(1500))
def test_open_redirect_whatever_is_accepted_stays_on_this_site_in_a_browser(target: str) -> None:
    result = safe_next(target)

    assert result is None or (result == target and stays_on_this_site(result))


@pytest.mark.slow
@given(TARGETS)
@settings(max_examples=examples(500))
def test_header_injection_whatever_is_accepted_fits_into_a_header(target: str) -> None:
    result = safe_next(target) or "/"

    assert len(result) <= 2048
    assert not re.search("[\0-\x20\x7f]", result)
    assert result.encode("utf-8")


@pytest.mark.slow
@given(st.from_regex(r"/[a-zA-Z0-9._~!$&'()*+,;=:@%-][a-zA-Z0-9/._~!$&'()*+,;=:@%?#-]{0,2000}", fullmatch=True))
@settings(max_examples=examples(500))
def test_every_ordinary_path_is_let_through(target: str) -> None:
    assert safe_next(target) == target


# --- login_url ------------------------------------------------------------------------------------------------


@pytest.fixture
def site(app: Quart) -> Quart:
    @app.get("/sign-in")
    async def sign_in_page() -> str:
        return ""

    return app


@pytest.mark.parametrize(
    ("login_view", "next_url", "url"),
    [
        ("sign_in_page", None, "/sign-in"),
        ("sign_in_page", "/account", "/sign-in?next=%2Faccount"),
        ("sign_in_page", "http://localhost/account", "/sign-in?next=%2Faccount"),
        ("sign_in_page", "http://localhost/account?tab=2&x=%20", "/sign-in?next=%2Faccount%3Ftab%3D2%26x%3D%2520"),
        ("sign_in_page", "http://localhost/account#part", "/sign-in?next=%2Faccount"),
        ("/login", "http://localhost/account", "/login?next=%2Faccount"),
        ("/login?lang=en", "http://localhost/a", "/login?lang=en&next=%2Fa"),
        ("/login?empty=", "http://localhost/a", "/login?empty=&next=%2Fa"),
        ("/login?next=/old", "http://localhost/a", "/login?next=%2Fa"),
        ("/login?a=1&a=2", "http://localhost/b", "/login?a=1&a=2&next=%2Fb"),
        ("/login#form", "http://localhost/a", "/login?next=%2Fa#form"),
        ("http://localhost/login", "http://localhost/a", "http://localhost/login?next=%2Fa"),
        (
            "https://accounts.example/login",
            "http://localhost/a",
            "https://accounts.example/login?next=http%3A%2F%2Flocalhost%2Fa",
        ),
        ("https://accounts.example/login", None, "https://accounts.example/login"),
    ],
)
async def test_the_login_url_names_the_page_to_come_back_to(
    site: Quart, login_view: str, next_url: str | None, url: str
) -> None:
    async with site.test_request_context("/"):
        assert login_url(login_view, next_url) == url


async def test_the_login_urls_field_has_another_name_on_demand(site: Quart) -> None:
    async with site.test_request_context("/"):
        assert login_url("sign_in_page", "/account", next_field="back") == "/sign-in?back=%2Faccount"


@pytest.mark.parametrize(
    ("login", "current", "param"),
    [
        ("/login", "http://localhost/account", "/account"),
        ("/login", "http://localhost/account?tab=2", "/account?tab=2"),
        ("/login", "/account", "/account"),
        ("http://localhost/login", "http://localhost/account", "/account"),
        ("//localhost/login", "http://localhost/account", "/account"),
        ("https://localhost/login", "http://localhost/account", "http://localhost/account"),
        ("http://localhost:5000/login", "http://localhost/account", "http://localhost/account"),
        ("http://elsewhere.example/login", "http://localhost/account", "http://localhost/account"),
    ],
)
def test_the_next_parameter_is_a_path_on_the_login_pages_own_site(login: str, current: str, param: str) -> None:
    assert make_next_param(login, current) == param


async def test_open_redirect_a_path_that_looks_like_another_site_is_rejected(site: Quart) -> None:
    async with site.test_request_context("/"):
        param = make_next_param("/login", "http://localhost//elsewhere.example/account")

    assert safe_next(param) is None
