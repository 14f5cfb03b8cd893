"""Open redirects through `next`, judged by a parser of the WHATWG URL standard, as browsers resolve it."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import ada_url
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quart import Quart

from amounts import examples
from client import KEY, PASSWORD, Visitor, add_user, with_cheap_hashes
from payloads import NEXTS, Request, send
from quartlogin import safe_next
from quartlogin.config import NEXT_MAX_LENGTH
from quartlogin.webapp import create_app
from slow import mostly_slow

ORIGIN = "http://localhost"
#: What Python reads as a path and a browser does not, and what is only decoded once.
MORE = ["/%2F%2Felsewhere.example", "/%252F%252Felsewhere.example", "/.//elsewhere.example", "/..//elsewhere.example"]
MORE += [
    "/account/..//elsewhere.example",
    "/%2e%2e//elsewhere.example",
    "/;//elsewhere.example",
    "/?//elsewhere.example",
]
ALL = [target for target in [*NEXTS, *MORE] if "\ud800" not in target and "\udfff" not in target]


def origin_of(location: str) -> str:
    """Where a browser goes from the login page; `our own` where it goes nowhere."""
    try:
        return ada_url.URL(location, base=f"{ORIGIN}/login").origin
    except ValueError:
        return ORIGIN


@pytest.fixture
async def alice(database: str) -> AsyncIterator[Visitor]:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with app.test_app():
        await add_user(app, "Alice")
        visitor = Visitor(app.test_client())
        await visitor.sign_in()
        yield visitor


def test_open_redirect_payloads_are_many_and_the_url_parser_detects_them() -> None:
    lead_elsewhere = [target for target in ALL if origin_of(target) != ORIGIN]

    assert len(ALL) >= 100
    assert len(lead_elsewhere) >= 60
    assert origin_of("/\t/elsewhere.example") == "http://elsewhere.example"
    assert origin_of("/\\elsewhere.example") == "http://elsewhere.example"


@pytest.mark.requirement("3.7.2", "C16", "V1")
@pytest.mark.parametrize("target", mostly_slow(ALL), ids=lambda target: ascii(target)[:40])
async def test_open_redirect_through_next_in_query_form_or_confirmation_is_blocked(alice: Visitor, target: str) -> None:
    token = (await alice.get("/")).token
    again = {"csrf_token": token, "username": "Alice", "password": PASSWORD, "next": target}

    confirmed = await alice.post("/reauthenticate", again)
    again["csrf_token"] = (await alice.get("/")).token
    in_form = await alice.post("/login", again)
    when_signed_in = await alice.get("/login", query_string={"next": target})

    answers = [confirmed, in_form, when_signed_in]
    assert [answer.status for answer in answers] == [302, 302, 302]
    assert {origin_of(str(answer.location)) for answer in answers} == {ORIGIN}
    assert max(len(str(answer.location)) for answer in answers) <= NEXT_MAX_LENGTH


@pytest.mark.requirement("3.7.2", "V1")
@pytest.mark.parametrize(
    "target", mostly_slow([one for one in ALL if len(one) < 100]), ids=lambda target: ascii(target)[:40]
)
async def test_open_redirect_through_the_request_path_is_blocked(app: Quart, target: str) -> None:
    host = ((b"host", b"localhost"), (b"content-length", b"0"))
    paths = [quote(one, safe="/:@[]\\").encode() for one in (target, f"/account/../{target}", f"/account{target}")]

    answers = [await send(app, Request("GET", path, headers=host)) for path in paths if path.startswith(b"/")]
    answers.append(await send(app, Request("GET", b"/account", b"x=" + quote(target).encode(), host)))

    assert {answer.status for answer in answers} <= {200, 302, 308, 400, 404, 405}
    for location in [answer.header(b"location").decode() or "/" for answer in answers]:
        come_back = ada_url.parse_search_params(location.partition("?")[2]).get("next", ["/"])[0]
        assert (origin_of(location), origin_of(come_back)) == (ORIGIN, ORIGIN)


PIECES = [
    "/",
    "//",
    "\\",
    "http:",
    "javascript:",
    "@",
    ":",
    "?",
    "#",
    "[",
    "]",
    ".",
    "..",
    "%2f",
    "%5c",
    "\t",
    "\n",
    "\r",
]
PIECES += ["\0", " ", "\x7f", "\xa0", "\u2028", "\ufeff", "／", "。", "\u200b", "℀", "elsewhere.example", "account"]


@pytest.mark.requirement("3.7.2", "C16", "V1", "V2")
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(st.characters(codec="utf-8")))
@settings(max_examples=examples(2000))
def test_open_redirect_whatever_safe_next_accepts_stays_on_this_site(target: str) -> None:
    for one in (target, "/" + target):
        assert origin_of(safe_next(one) or "/") == ORIGIN
