"""The nginx configuration of docs/deploying.md: TLS, HSTS, Host header, spoofed addresses, request smuggling."""

import json
import os
import re
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from client import KEY, PASSWORD
from databases import run_sql
from proxy import HOST, Proxy, conversation, in_front_of, nginx_binary, open_tls, statuses
from servers import SCRIPTS, free_port, running

pytestmark = pytest.mark.slow

HEAD = f"Host: {HOST}\r\nConnection: close\r\n".encode()
WEBSOCKET = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.fixture(scope="module")
def started() -> Iterator[Proxy | None]:
    if nginx_binary() is None:
        yield None
        return
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    settings = {
        "QUARTLOGIN_SECRET_KEY": KEY,
        "QUARTLOGIN_TRUSTED_PROXIES": "1",
        "QUARTLOGIN_ALLOWED_HOSTS": json.dumps([HOST]),
        "QUARTLOGIN_LOGIN_RATE_LIMIT_PER_ADDRESS": "10",
    }
    with (
        TemporaryDirectory() as folder,
        TemporaryDirectory() as other,
        running(command, port, Path(folder), **settings) as app,
        in_front_of(app, Path(other)) as proxy,
    ):
        yield proxy


@pytest.fixture
def proxy(started: Proxy | None, missing: Callable[[str], None]) -> Proxy:
    if started is None:
        missing("nginx")
    assert started is not None
    database = started.app.log.parent / "quartlogin.sqlite3"
    run_sql(str(database), "DELETE FROM quartlogin_attempt_counters")
    return started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with new_client(proxy) as client:
        yield client


class Named(httpx.HTTPTransport):
    """Asks nginx by the name that it serves."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": HOST}
        return super().handle_request(request)


def new_client(proxy: Proxy, *, plain: bool = False) -> httpx.Client:
    """A browser that finds the name on this machine."""
    port, scheme = (proxy.plain_port, "http") if plain else (proxy.port, "https")
    return httpx.Client(
        base_url=f"{scheme}://127.0.0.1:{port}",
        headers={"Host": HOST},
        transport=Named(verify=False),
        timeout=60,
    )


def fill_in(client: httpx.Client, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="(\w+)"', client.get(path).text)[1]  # type: ignore[index]
    return client.post(path, data={"csrf_token": token, **fields}, headers=headers)


def log_of(proxy: Proxy) -> list[dict[str, Any]]:
    lines = proxy.app.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def cookies_of(client: httpx.Client) -> bytes:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar).encode()


# --- TLS


@pytest.mark.requirement("12.1.1", "12.2.1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=str)
def test_tls_versions_before_1_2_are_rejected(proxy: Proxy, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises((ssl.SSLError, ConnectionError)) as refusal:
            open_tls(proxy, minimum_version=version, maximum_version=version)

    assert "PROTOCOL_VERSION" in str(refusal.value).replace(" ", "_").upper()


@pytest.mark.requirement("12.1.1", "12.2.1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_tls_uses_forward_secrecy_and_authenticated_encryption(proxy: Proxy, version: ssl.TLSVersion) -> None:
    with open_tls(proxy, minimum_version=version, maximum_version=version) as connection:
        cipher = connection.cipher()

    assert cipher is not None
    assert cipher[0].startswith(("ECDHE-", "TLS_"))
    assert re.search("GCM|POLY1305", cipher[0])


@pytest.mark.parametrize(
    "ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"]
)
def test_tls_weak_ciphers_are_rejected(proxy: Proxy, ciphers: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port), timeout=60), server_hostname=HOST)


@pytest.mark.requirement("4.1.2")
def test_https_redirects_apply_to_pages_only(proxy: Proxy) -> None:
    with new_client(proxy, plain=True) as client:
        page = client.get("/login?next=/account")
        api = client.get("/api/me", headers={"Authorization": "Bearer x"})
        elsewhere = client.get("/account", headers={"Authorization": "Bearer x"})
        form = client.post("/login", data={"username": "Alice", "password": PASSWORD})

    assert (page.status_code, page.headers["Location"]) == (301, f"https://{HOST}/login?next=/account")
    assert [answer.status_code for answer in (api, elsewhere, form)] == [403, 403, 403]


@pytest.mark.requirement("12.2.1")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /login HTTP/1.1\r\n%s\r\n", 200),
        (b"GET /account HTTP/1.1\r\n%s\r\n", 302),
        (b"GET /nothing HTTP/1.1\r\n%s\r\n", 404),
        (b"PUT /login HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\n%s\r\n", 405),
        (b"POST /login HTTP/1.1\r\n%sContent-Length: 99999999\r\n\r\n", 413),
    ],
)
def test_hsts_is_sent_once_on_every_response(proxy: Proxy, request_: bytes, status: int) -> None:
    heard = conversation(open_tls(proxy), request_ % HEAD)

    assert statuses(heard) == [status]
    assert heard.lower().count(b"\r\nstrict-transport-security: max-age=31536000; includesubdomains\r\n") == 1


@pytest.mark.requirement("13.4.6")
@pytest.mark.parametrize(
    "request_", [b"GET /login HTTP/1.1\r\n%s\r\n", b"GET /%%ff HTTP/1.1\r\n%s\r\n", b"NONSENSE\r\n%s\r\n"]
)
def test_version_disclosure_no_response_names_a_version(proxy: Proxy, request_: bytes) -> None:
    heard = conversation(open_tls(proxy), request_ % HEAD)

    assert statuses(heard) or b"<html>" in heard
    assert re.findall(rb"nginx/[\d.]+|hypercorn|Quart/|Python/", heard) == []


def test_host_header_of_an_unknown_site_is_rejected(proxy: Proxy) -> None:
    with pytest.raises(httpx.HTTPError), new_client(proxy, plain=True) as client:
        client.get("/login", headers={"Host": "evil.example"})


# --- whom the application believes


@pytest.mark.requirement("4.1.3", "15.3.4")
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "6.6.6.6"},
        {"X-Forwarded-For": "6.6.6.6, 7.7.7.7"},
        {"X-Forwarded-For": "6.6.6.6,,127.0.0.1"},
        {"X_Forwarded_For": "6.6.6.6"},
        {"X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6", "True-Client-IP": "6.6.6.6"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"},
    ],
    ids=str,
)
def test_spoofed_forwarded_headers_of_a_client_are_ignored(
    proxy: Proxy, client: httpx.Client, headers: dict[str, str]
) -> None:
    name = f"Person {os.urandom(4).hex()}"
    fill_in(client, "/register", headers, username=name, password=PASSWORD)

    account = client.get("/account", headers=headers)

    assert "6.6.6.6" not in account.text
    assert "127.0.0.1" in account.text
    assert {record["address"] for record in log_of(proxy)} == {"127.0.0.1"}
    assert {cookie.name.startswith("__Host-") for cookie in client.cookies.jar} == {True}


@pytest.mark.requirement("4.1.3", "15.3.4")
def test_spoofed_addresses_do_not_bypass_the_rate_limit(proxy: Proxy, client: httpx.Client) -> None:
    tried = [
        fill_in(client, "/login", {"X-Forwarded-For": f"6.6.6.{number}"}, username=f"nobody{number}", password="x" * 15)
        for number in range(12)
    ]

    assert [answer.status_code for answer in tried] == [400] * 10 + [429] * 2


# --- tunnels and websockets


@pytest.mark.requirement("4.2.1")
@pytest.mark.parametrize("path", [b"/", b"/account/live", b"/login"])
@pytest.mark.parametrize("upgrade", [b"h2c", b"H2C", b"websocket, h2c", b"h2c, websocket", b"\th2c"])
def test_request_smuggling_an_h2c_upgrade_opens_no_tunnel(proxy: Proxy, path: bytes, upgrade: bytes) -> None:
    settings = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    request = b"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: %s\r\n%s\r\n" % (path, HOST.encode(), upgrade, settings)

    heard = conversation(open_tls(proxy), request + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert 101 not in statuses(heard)
    assert b"h2c" not in heard.lower()


@pytest.mark.requirement("4.4.1", "4.4.2")
@pytest.mark.parametrize(
    ("origin", "status"),
    [(b"own", 101), (b"https://evil.example", 403), (b"http://login.example.org", 403), (b"null", 403)],
)
def test_cross_site_websocket_hijacking_only_same_origin_handshakes_pass(
    proxy: Proxy, client: httpx.Client, origin: bytes, status: int
) -> None:
    fill_in(client, "/register", username=f"Person {os.urandom(4).hex()}", password=PASSWORD)
    own = f"https://{HOST}".encode()
    head = b"Host: %s\r\nConnection: Upgrade\r\nOrigin: %s\r\nCookie: %s\r\n" % (
        HOST.encode(),
        own if origin == b"own" else origin,
        cookies_of(client),
    )

    heard = conversation(open_tls(proxy), b"GET /account/live HTTP/1.1\r\n" + head + WEBSOCKET + b"\r\n")

    assert statuses(heard) == [status]


@pytest.mark.requirement("4.4.1")
def test_a_websocket_without_tls_is_redirected_to_https(proxy: Proxy) -> None:
    plain = socket.create_connection(("127.0.0.1", proxy.plain_port), timeout=60)

    heard = conversation(plain, b"GET /account/live HTTP/1.1\r\n" + HEAD + WEBSOCKET + b"\r\n")

    assert statuses(heard) == [301]


# --- where a request ends

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: login.example.org\r\n\r\n"
#: Requests of which servers differ in where they end; each carries another one.
AMBIGUOUS = [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN),
    b"Content-Length: 0, %d\r\n\r\n" % len(HIDDEN),
    b"Content-Length: +0\r\n\r\n",
    b"Content-Length: -0\r\n\r\n",
    b"Content-Length: 0x0\r\n\r\n",
    b"Content-Length : 0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"X: y\rContent-Length: 0\r\n\r\n",
    b"X\0: y\r\n\r\n",
]


@pytest.mark.requirement("4.2.1")
@pytest.mark.parametrize("unit", ["s", "&a=b", "%2F", "%25", "%C3%A9", "/"])
def test_the_longest_next_reaches_the_login_page(client: httpx.Client, unit: str) -> None:
    """nginx answers 502 where the head of an answer has more than 4096 characters."""
    asked = "/account?" + (unit * 2048)[: 2034 // len(unit) * len(unit)]

    sent = client.get(asked)
    login_page = client.get(sent.headers["Location"])

    assert len(asked) > 2030
    assert (sent.status_code, login_page.status_code) == (302, 200)


def test_an_openid_connect_authorization_request_returns_through_nginx(client: httpx.Client) -> None:
    asked = "/account?redirect_uri=https%3A%2F%2Fclient.example%2Fback&scope=openid+profile&state=" + "s" * 1900
    sent = client.get(asked)

    assert parse_qs(urlsplit(sent.headers["Location"]).query)["next"] == [asked]


@pytest.mark.parametrize("is_direct", [False, True], ids=["through nginx", "direct"])
@pytest.mark.parametrize("rest", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_request_smuggling_an_ambiguous_body_length_gets_one_response_and_closes_the_connection(
    proxy: Proxy, rest: bytes, is_direct: bool
) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: login.example.org\r\n"
    direct = lambda: socket.create_connection(("127.0.0.1", proxy.app.port), timeout=60)  # noqa: E731

    heard = conversation(direct() if is_direct else open_tls(proxy), head + rest + HIDDEN)

    [status] = statuses(heard)
    assert status in {400, 415, 501}
