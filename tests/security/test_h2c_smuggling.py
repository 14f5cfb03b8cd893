"""Request smuggling by HTTP/2 without TLS (h2c), through a proxy that forwards `Upgrade`."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from client import KEY
from proxy import HOST, Proxy, in_front_of, nginx_binary, open_tls
from quartlogin.webapp.middleware import ProxyHeadersMiddleware, RequestValidationMiddleware
from servers import SCRIPTS, free_port, running

#: What many pages on the web say to put into nginx for websockets.
PASSED_ON = {
    'proxy_set_header Upgrade "";': "proxy_set_header Upgrade $http_upgrade;",
    'proxy_set_header Connection "";': "proxy_set_header Connection $http_connection;",
}


@pytest.fixture(scope="module")
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    if nginx_binary() is None:
        if request.config.getoption("--require-everything"):
            pytest.fail("nginx is missing, and --require-everything was given.")
        pytest.skip("nginx is missing: what this test shows was NOT shown.")
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    settings = {"QUARTLOGIN_SECRET_KEY": KEY, "QUARTLOGIN_TRUSTED_PROXIES": "1"}
    with (
        TemporaryDirectory() as folder,
        TemporaryDirectory() as other,
        running(command, port, Path(folder), **settings) as app,
        in_front_of(app, Path(other), PASSED_ON) as proxy,
    ):
        yield proxy


class Tunnel:
    """HTTP/2 to the application, past nginx."""

    def __init__(self, proxy: Proxy) -> None:
        self._wire = open_tls(proxy)
        self._client = H2Connection(H2Configuration(header_encoding="utf-8"))
        settings = self._client.initiate_upgrade_connection() or b""
        self._wire.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: %s\r\n\r\n" % (HOST.encode(), settings)
        )
        self.switched = head_from(self._wire)
        self._wire.sendall(self._client.data_to_send())
        self._answers: dict[int, tuple[int, bytes]] = {}
        self.first = self._answer_of(1)

    def ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        stream = self._client.get_next_available_stream_id()
        head = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", HOST)]
        self._client.send_headers(stream, [*head, *headers.items()], end_stream=True)
        self._wire.sendall(self._client.data_to_send())
        return self._answer_of(stream)

    def _answer_of(self, wanted: int) -> tuple[int, bytes]:
        status, body = 0, b""
        while True:
            for event in self._client.receive_data(self._wire.recv(65536)):
                if getattr(event, "stream_id", None) != wanted:
                    continue
                if isinstance(event, ResponseReceived):
                    status = int(dict(event.headers or [])[":status"])
                elif isinstance(event, DataReceived):
                    body += event.data or b""
                elif isinstance(event, StreamEnded):
                    return status, body

    def close(self) -> None:
        self._wire.close()


def head_from(wire: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += wire.recv(1)
    return head


@pytest.mark.requirement("4.2.1")
def test_h2c_smuggling_through_a_trusted_proxy_gets_only_505(proxy: Proxy) -> None:
    """Each guess would come with an address of its own, which the proxy never saw."""
    tunnel = Tunnel(proxy)
    forged = [{"x-forwarded-proto": "https", "x-forwarded-for": f"203.0.113.{number}"} for number in range(5)]

    answers = [tunnel.first, *(tunnel.ask("/login", **headers) for headers in forged), tunnel.ask("/login")]

    tunnel.close()
    assert b" 101 " in tunnel.switched  # else this test shows nothing
    assert {status for status, _ in answers} == {505}
    assert not re.search(r"203\.0\.113\.\d", proxy.app.log.read_text())


# --- the same for every other thing that a proxy's headers could change


async def served(scope: dict[str, Any], count: int = 1) -> tuple[list[Any], list[Any]]:
    """What an application sees of a connection, and what is answered, behind so many trusted proxies."""
    seen: list[Any] = []
    answered: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def send(message: Any) -> None:
        answered.append(message)

    await ProxyHeadersMiddleware(RequestValidationMiddleware(app, ["login.example.org"]), count)(scope, None, send)
    return seen, [message.get("status") or message.get("code") for message in answered[:1]]


def scope_of(kind: str = "http", version: str = "1.1", scheme: str = "http", **headers: str) -> dict[str, Any]:
    sent = {"host": "login.example.org", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": kind,
        "http_version": version,
        "scheme": scheme,
        "client": ("192.0.2.1", 1),
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }


FORGED = {"x_forwarded_proto": "https", "x_forwarded_for": "203.0.113.1", "x_forwarded_host": "login.example.org"}


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize(("kind", "scheme", "refusal"), [("http", "http", 505), ("websocket", "ws", 1008)])
async def test_h2c_smuggling_the_http_version_is_that_of_the_connection(
    kind: str, scheme: str, refusal: int, count: int
) -> None:
    said = {name: ", ".join([value] * 2) for name, value in FORGED.items()}

    assert await served(scope_of(kind, "2", scheme, **said), count) == ([], [refusal])


@pytest.mark.parametrize("version", ["2", "3"])
async def test_http2_over_tls_is_served(version: str) -> None:
    seen, answered = await served(scope_of(version=version, scheme="https", **FORGED))

    assert (len(seen), answered) == (1, [])


@pytest.mark.slow
async def test_host_header_x_forwarded_host_does_not_bypass_the_allowed_hosts() -> None:
    scope = scope_of(**FORGED, host="evil.example")

    assert await served(scope) == ([], [400])


@pytest.mark.slow
async def test_spoofed_addresses_only_the_last_entry_of_a_trusted_proxy_counts() -> None:
    seen, _ = await served(scope_of(x_forwarded_for="203.0.113.1, 198.51.100.7", x_forwarded_proto="http, https"))

    assert (seen[0]["client"][0], seen[0]["scheme"]) == ("198.51.100.7", "https")
