"""The page that explains requests: for a developer on this machine, and hidden from everybody else."""

import base64
import hashlib
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from quart import Quart, Response
from quart.testing import QuartClient
from users import ADA, SignIn, User

from quartlogin import LoginManager, current_user, login_required, login_user, tracing
from quartlogin.explaining.gate import admits
from quartlogin.explaining.recorder import KEPT, MOST_STEPS

Listeners = tuple[tracing.Listener, ...]
PATH = "/_quartlogin/"
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


class Developer:
    """A browser on the machine of the server, with what the start of the app has printed."""

    def __init__(self, app: Quart, printed: str) -> None:
        self.app = app
        self.client: QuartClient = app.test_client()
        self.printed = printed
        self.query = "?" + printed.partition(f"{PATH}?")[2].partition(" ")[0]

    async def get(self, address: str | None = None, **options: Any) -> Response:
        """Request the page, or another address, from this machine unless told otherwise."""
        options = {"scope_base": {"client": ("127.0.0.1", 40000)}, "method": "GET", **options}
        return await self.client.open(PATH + self.query if address is None else address, **options)

    async def read(self, more: str = "") -> str:
        return await (await self.get(f"{PATH}{self.query}{more}")).get_data(as_text=True)


@pytest.fixture
def listeners() -> Listeners:
    """Who listens before the app starts: pytest's plugin may."""
    return tracing.listeners


@pytest.fixture
def developing(bare_app: Quart, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The app, started with a page of its own, and a developer who looks at it."""

    @asynccontextmanager
    async def developing(explain: bool | None = True) -> AsyncIterator[Developer]:
        manager = LoginManager[User](bare_app, explain=explain)

        @manager.user_loader
        async def load(user_id: str) -> User | None:
            return ADA if user_id == ADA.id else None

        @bare_app.get("/notes")
        @login_required
        async def notes() -> str:
            return str((await current_user).name)

        @bare_app.post("/login")
        async def login() -> str:
            await login_user(ADA)
            return ""

        @bare_app.get("/hostile/<string:rest>", endpoint=HOSTILE)
        async def hostile(rest: str) -> str:
            return ""

        async with bare_app.test_app():
            yield Developer(bare_app, capsys.readouterr().err)

    return developing


async def test_the_page_lists_the_requests_and_explains_each(developing: Any, sign_in: SignIn) -> None:
    async with developing() as developer:
        await developer.get("/notes")
        await (await sign_in(developer.app, ADA.id)).get("/notes")
        await developer.get("/login", method="POST")
        listed, refused, served = [await developer.read(more) for more in ("", "&request=1", "&request=2")]

    assert re.findall(r'request=(\d+)"><span class="number">\d+</span> <code>(.*?)</code>', listed) == [
        ("3", "POST /login"),
        ("2", "GET /notes"),
        ("1", "GET /notes"),
    ]
    assert re.findall(r"<span>(.*?)</span>", listed) == ["user 1 signs in", "user 1", "anonymous"]
    assert re.findall(r'class="badge">(\d+)<', listed) == ["200", "200", "401"]
    assert "Sign in" in refused
    assert re.findall(r'<th scope="row">(\w+)', refused)[0] == "request"
    assert re.search(r'<tr class="decisive">.*?<th scope="row">user', served, re.DOTALL)


async def test_the_page_is_closed_to_all_but_a_browser_on_this_machine(developing: Any) -> None:
    """Each request differs in one thing from one that passes; the answer is the app's own 404."""
    peers = ["192.0.2.1", "::ffff:192.0.2.1", "10.0.0.1", "0.0.0.0", "", "unix:", "localhost", "127.0.0.1, 192.0.2.1"]
    hosts = [
        *("evil.example", "localhost.evil.example", "evil-localhost", "localhost:5000@evil.example", "evil.example:80"),
        *("127.0.0.1.nip.io", "0.0.0.0:5000", "192.168.0.1", "[::2]", "[::ffff:192.0.2.1]", "127.1", "2130706433"),
        *("localhost ", "localhost,evil.example", "localhost:", "localhost:x", "", "[::1%eth0]", "app.localhost"),
    ]
    headers = [
        *(
            ("Forwarded", "for=192.0.2.1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("x-forwarded-host", "a"),
            ("VIA", "1.1 a"),
        ),
        *(("X-Forwarded-Proto", ""), ("X-Real-IP", "127.0.0.1"), ("CF-Connecting-IP", "127.0.0.1"), ("Cf-Ray", "1")),
        *(("True-Client-IP", "127.0.0.1"), ("X_Forwarded_For", "127.0.0.1"), ("X-Original-Host", "a")),
        *(
            ("Fly-Client-IP", "::1"),
            ("Cdn-Loop", "cloudflare"),
            ("X-Client-IP", "::1"),
            ("X-Envoy-External-Address", ""),
        ),
        *(("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("sec-fetch-site", "")),
        *(("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Dest", "script"), ("Sec-Fetch-Dest", "empty")),
    ]
    paths = [
        " ",
        PATH.strip("/"),
        "/_quartlogin//",
        "//_quartlogin/",
        "/_QUARTLOGIN/",
        "/_quartlogin/x",
        "/x/_quartlogin/",
    ]
    async with developing() as developer:
        token = developer.query.partition("=")[2]
        queries = [
            "",
            "?token=",
            "?token=" + token[:-1],
            "?token=" + token + "a",
            "?Token=" + token,
            "?token=%C3%A9",
            "?" + token,
        ]
        queries += [
            f"?token={token}&token={token}",
            f"?token=&token={token}",
            "?token=" + token.swapcase(),
            "?token=%00",
        ]
        refused = [
            *({"scope_base": {"client": (peer, 1)}} for peer in peers),
            *({"scope_base": {"client": client}} for client in (None, ())),
            *({"headers": {"Host": host}} for host in hosts),
            *({"headers": [("Host", "localhost"), header]} for header in headers),
            {"headers": [("Host", "localhost"), ("Host", "evil.example")]},
            {"headers": [("Host", "evil.example"), ("HOST", "localhost")]},
            {"headers": [("Host", "localhost"), ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")]},
            *({"method": method} for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "TRACE")),
            {"http_version": "1.0"},
            *({"address": path + developer.query} for path in paths),
            *({"address": PATH + query} for query in queries),
        ]
        shown = [one for one in refused if "anonymous" in await body_of(await developer.get(**one))]
        none = await developer.get("/none")
        answers = {(await developer.get(headers={"Host": host})).status_code for host in ("evil.example", "a")}

        assert "anonymous" in await developer.read()
    assert shown == []
    assert answers == {none.status_code} == {404}


async def body_of(response: Response) -> str:
    return await response.get_data(as_text=True)


def test_the_gate_reads_header_names_in_any_spelling() -> None:
    """As a server may pass them: the test client writes them in lower case."""
    query, client = b"token=right", ("127.0.0.1", 1)
    scope = {"type": "http", "method": "GET", "http_version": "1.1", "query_string": query, "client": client}
    fitting = [[(b"Host", b"localhost")], [(b"hOsT", b"localhost"), (b"SEC-FETCH-SITE", b"none")]]
    hostile = [b"X-FORWARDED-for", b"x_Forwarded_Host", b"FORWARDED", b"Via", b"Host", b"HOST", b"SEC-Fetch-Dest"]

    refused = [headers for headers in fitting if not admits({**scope, "headers": headers}, "right")]
    passed = [name for name in hostile if admits({**scope, "headers": [*fitting[0], (name, b"localhost")]}, "right")]

    assert refused == passed == []


async def test_the_page_is_open_to_a_browser_on_this_machine(developing: Any) -> None:
    peers = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
    hosts = ["localhost", "LocalHost:5000", "127.0.0.1:5000", "127.0.0.2", "[::1]", "[::1]:8000", "[::ffff:7f00:1]"]
    fetched = [("none", "document"), ("same-origin", "document")]
    async with developing() as developer:
        passing = [
            *({"scope_base": {"client": (peer, 1)}} for peer in peers),
            *({"headers": {"Host": host}} for host in hosts),
            *({"headers": {"Host": "localhost", "Sec-Fetch-Site": site, "Sec-Fetch-Dest": to}} for site, to in fetched),
            *({"http_version": version} for version in ("1.1", "2")),
            {"address": "/_quart%6Cogin/" + developer.query},
            {"address": "/root" + PATH + developer.query, "root_path": "/root"},
        ]
        failed = [one for one in passing if (await developer.get(**one)).status_code != 200]
        head = await developer.get(method="HEAD")

    assert failed == []
    assert (head.status_code, await body_of(head)) == (200, "")


async def test_a_websocket_at_the_address_of_the_page_is_the_apps(developing: Any, bare_app: Quart) -> None:
    @bare_app.websocket(PATH)
    async def socket() -> None: ...

    async with developing() as developer:
        options: dict[str, Any] = {"scope_base": {"client": ("127.0.0.1", 1)}}
        async with developer.client.websocket(PATH + developer.query, **options):
            pass

        page = await developer.read()

    assert 'class="number">1</span> <code>WS /_quartlogin/</code>' in page
    assert 'class="badge">websocket<' in page


@pytest.mark.requirement("13.4.2")
async def test_the_page_is_off_unless_asked_for_or_debugging(
    developing: Any, bare_app: Quart, listeners: Listeners
) -> None:
    async with developing(explain=None) as developer:
        assert developer.printed == ""
        assert tracing.listeners == listeners
        assert bare_app.asgi_app == Quart.asgi_app.__get__(bare_app)


async def test_without_the_page_nothing_of_it_is_imported(developing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("quartlogin.explaining")]:
        monkeypatch.delitem(sys.modules, name)

    async with developing(explain=None):
        pass

    assert [name for name in sys.modules if name.startswith("quartlogin.explaining")] == []


async def test_debugging_opens_the_page_unless_it_is_switched_off(developing: Any, bare_app: Quart) -> None:
    bare_app.debug = True
    async with developing(explain=None) as developer:
        assert (await developer.get()).status_code == 200


async def test_debugging_does_not_open_a_page_that_is_switched_off(
    developing: Any, bare_app: Quart, listeners: Listeners
) -> None:
    bare_app.debug = True
    async with developing(explain=False) as developer:
        assert developer.printed == ""
        assert tracing.listeners == listeners


async def test_when_the_app_ends_the_page_is_gone_and_nothing_listens(
    developing: Any, bare_app: Quart, listeners: Listeners
) -> None:
    before = bare_app.asgi_app
    async with developing() as developer:
        assert len(tracing.listeners) == len(listeners) + 1

    assert tracing.listeners == listeners
    assert bare_app.asgi_app == before
    async with bare_app.test_app():
        assert (await developer.get()).status_code == 404  # the next start has another token


async def test_middleware_that_was_added_later_keeps_no_page_open(developing: Any, bare_app: Quart) -> None:
    async with developing() as developer:
        inner = bare_app.asgi_app

        async def outer(*connection: Any) -> None:
            await inner(*connection)

        bare_app.asgi_app = outer  # type: ignore[method-assign]
        assert (await developer.get()).status_code == 200

    assert (await developer.get()).status_code == 404


async def test_the_token_is_random_and_printed_once(
    developing: Any, bare_app: Quart, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        async with developing() as developer:
            await developer.read()
        async with bare_app.test_app():
            second = capsys.readouterr().err.partition("token=")[2].partition(" ")[0]

    first = developer.query.partition("=")[2]
    assert developer.printed.count(first) == 1
    assert len(first) >= 43  # 256 bits
    assert first != second
    assert first not in caplog.text
    assert second not in caplog.text


async def test_xss_what_requests_contain_is_shown_as_text(developing: Any) -> None:
    async with developing() as developer:
        cookie = "<b>=1; <img/src=x>=2"
        headers = [("Host", "localhost"), ("Cookie", cookie), ("Sec-Fetch-Dest", HOSTILE), ("Sec-Fetch-Site", HOSTILE)]
        await developer.get("/hostile/<b>", headers=headers)
        await developer.get("/notes", headers={"Host": HOSTILE})
        pages = [await developer.read(more) for more in ("", "&request=1", "&request=2", "&request=" + "%3Cb%3E")]

    assert all(f"&lt;{tag}" in pages[1] for tag in ("script", "b", "img"))
    assert not [page for page in pages if re.search(r"<script|<b>|<img|\{49\}|>49<", page)]


async def test_the_page_allows_no_script_and_can_be_neither_framed_stored_nor_sniffed(developing: Any) -> None:
    async with developing() as developer:
        await developer.get("/notes")
        responses = [await developer.get(f"{PATH}{developer.query}{more}") for more in ("", "&request=1", "&request=2")]
        text = "".join([await body_of(response) for response in responses])

    assert [response.status_code for response in responses] == [200, 200, 404]
    for headers in (response.headers for response in responses):
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert (
            policy["default-src"]
            == policy["frame-ancestors"]
            == policy["base-uri"]
            == policy["form-action"]
            == "'none'"
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "script-src" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Set-Cookie" not in headers
        for style in re.findall(r"<style>(.*?)</style>", text, re.DOTALL):
            assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy["style-src"]
    assert text.count("<style>") == 4
    assert not re.search(r"<script| style=| on\w+=|<style |javascript:", text)


async def test_the_last_hundred_requests_are_kept_and_an_older_one_is_not_found(developing: Any) -> None:
    async with developing() as developer:
        for _ in range(KEPT + 1):
            await developer.get("/none")
        listed = await developer.read()
        first, second, last = [await developer.get(f"{PATH}{developer.query}&request={n}") for n in (1, 2, KEPT + 1)]
        odd = [
            await developer.get(f"{PATH}{developer.query}&request={n}") for n in ("-1", "%C2%B2", "1e2", "9" * 5000, "")
        ]

        assert listed.count("<li>") == KEPT == 100
        assert (first.status_code, second.status_code, last.status_code) == (404, 200, 200)
        assert f'href="{developer.query}"' in await body_of(first)
        assert "rel=" in await body_of(second)
    assert {response.status_code for response in odd} == {404}


async def test_resource_limits_of_a_request_with_many_steps_the_first_ones_are_kept(
    developing: Any, bare_app: Quart
) -> None:
    @bare_app.get("/much")
    async def much() -> str:
        for number in range(2 * MOST_STEPS):
            tracing.tell("statement", sql="SELECT 1", rows=number)
        return ""

    async with developing() as developer:
        await developer.get("/much")
        page = await developer.read("&request=1")

    assert page.count('<li id="step-') == page.count('<th scope="row">') == MOST_STEPS == 500


async def test_the_pages_own_requests_are_not_recorded(developing: Any) -> None:
    async with developing() as developer:
        empty = [await developer.read() for _ in range(3)]

    assert "<li>" not in empty[-1]


async def test_static_files_are_listed_apart(developing: Any, bare_app: Quart) -> None:
    async def static() -> str:
        return ""

    bare_app.add_url_rule("/static/style.css", "shop.static", static)
    async with developing() as developer:
        await developer.get("/static/style.css")
        await developer.get("/notes")
        page = await developer.read()

    assert page.index("/notes") < page.index("<details>") < page.index("/static/style.css")
