"""Slowloris and other attacks on the resources of `quartlogin serve`, sent as raw bytes (ASVS V4, V13, V15)."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived

from client import KEY
from proxy import conversation, statuses
from quartlogin.accounts.audit import account_updates
from quartlogin.accounts.database import postgres, sqlite
from quartlogin.accounts.features.passwords import hashing
from quartlogin.webapp import app as application
from quartlogin.webapp import server as serving
from quartlogin.webapp.cli.source import ApplicationSource
from servers import PATIENCE, SCRIPTS, Server, free_port, running

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text("utf-8")
DOCUMENTED = re.findall(r"^\| [a-z][^|]+ \| (\d+) \|", DEPLOYING, re.MULTILINE)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with TemporaryDirectory() as folder, running(command, port, Path(folder), QUARTLOGIN_SECRET_KEY=KEY) as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def wait_until_closed(connection: socket.socket) -> None:
    """Read until the server hangs up; a `TimeoutError` if it does not."""
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    connection.close()


def is_open(connection: socket.socket) -> bool:
    """Whether the server has neither said anything nor hung up so far."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


@pytest.mark.requirement("13.1.2", "13.1.3", "13.2.6")
def test_resource_limits_in_the_docs_match_the_code() -> None:
    config = serving.config_for(["127.0.0.1:5000"], 1, ApplicationSource.max_message_size)

    assert [int(number) for number in DOCUMENTED] == [
        *(config.backlog, config.keep_alive_timeout, serving.READ_TIMEOUT, config.h11_max_incomplete_size),
        *(application._BODY_TIMEOUT, application._MAX_BODY, config.websocket_max_message_size),
        hashing._QUEUE_PER_THREAD,
        *(postgres._MAX_CONNECTIONS, postgres._TIMEOUT, sqlite._BUSY_TIMEOUT / 1000),
        account_updates._MAX_QUEUED,
        serving._STOP_TIMEOUT,
    ]
    assert config.h2_max_header_list_size == config.h11_max_incomplete_size
    assert config.include_server_header is False


# --- slow clients


@pytest.mark.requirement("13.1.3", "15.2.2")
@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"POST /login HTTP/1.1\r\nHost: a\r\n"],
    ids=["nothing", "a line", "half a header", "no end"],
)
def test_slowloris_an_unfinished_head_times_out(server: Server, begun: bytes) -> None:
    opened = time.monotonic()
    connection = connect(server)
    connection.sendall(begun)

    wait_until_closed(connection)

    assert time.monotonic() - opened > serving.HEAD_TIMEOUT - 1


@pytest.mark.requirement("13.1.3", "15.2.2")
def test_slowloris_single_bytes_do_not_extend_the_timeout(server: Server) -> None:
    connection = connect(server)
    begun = time.monotonic()
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    connection.settimeout(0.2)

    hung_up = False
    while not hung_up and time.monotonic() - begun < PATIENCE:
        try:
            connection.sendall(b"x")
            hung_up = connection.recv(1000) == b""
        except TimeoutError:
            pass
        except ConnectionError:
            hung_up = True
    connection.close()

    assert hung_up


@pytest.mark.requirement("13.1.3", "15.2.2")
def test_slow_body_times_out_after_four_seconds(server: Server) -> None:
    connection = connect(server)
    begun = time.monotonic()
    connection.sendall(
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 60000\r\n\r\n"
    )
    connection.settimeout(0.2)

    heard = b""
    while not heard and time.monotonic() - begun < PATIENCE:
        try:
            connection.sendall(b"x")
            heard = connection.recv(1000)
        except TimeoutError:
            pass
    connection.close()

    assert statuses(heard) == [408]


@pytest.mark.requirement("13.1.3", "15.2.2")
def test_slowloris_two_hundred_slow_clients_delay_no_other(server: Server) -> None:
    slow = [connect(server) for _ in range(200)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

    heard = conversation(connect(server), b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    still_wait = [is_open(connection) for connection in slow]

    for connection in slow:
        connection.close()
    assert statuses(heard) == [200]
    assert any(still_wait)  # it was not their end that made way


# --- large and malformed


@pytest.mark.requirement("4.2.1", "13.1.3")
@pytest.mark.parametrize(
    "head",
    [
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 100_000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n" % (b"a" * 100_000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (b"X: y\r\n" * 20_000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n" % (b"a=b; " * 20_000),
        b"%s / HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"G" * 100_000),
    ],
    ids=["address", "header", "headers", "cookies", "method"],
)
def test_an_oversized_head_is_rejected_and_the_connection_closed(server: Server, head: bytes) -> None:
    connection = connect(server)
    with suppress(ConnectionError):
        connection.sendall(head)
    heard = conversation(connection, b"")

    assert statuses(heard) in ([431], [400], [])
    assert b"200" not in heard[:20]


@pytest.mark.requirement("4.2.1")
@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX\x00Y: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:localhost\r\nHost :evil\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost/evil\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\xff" * 1000,
    ],
    ids=range(15),
)
def test_malformed_requests_are_rejected(server: Server, head: bytes) -> None:
    heard = conversation(connect(server), head)

    assert [status for status in statuses(heard) if not 400 <= status < 500 and status != 505] == []
    assert "Traceback" not in server.log.read_text()


@pytest.mark.requirement("4.2.1")
@pytest.mark.parametrize("is_upgraded", [False, True], ids=["by prior knowledge", "by upgrade"])
def test_http2_without_tls_gets_only_505(server: Server, is_upgraded: bool) -> None:
    client = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection = connect(server)
    if is_upgraded:
        settings = client.initiate_upgrade_connection()
        connection.sendall(
            b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: %s\r\n\r\n" % (settings or b"")
        )
        switched = b""
        while not switched.endswith(b"\r\n\r\n"):
            switched += connection.recv(1)
    else:
        client.initiate_connection()
        head = [(":method", "GET"), (":path", "/login"), (":scheme", "http"), (":authority", "localhost")]
        client.send_headers(1, head, end_stream=True)
    connection.sendall(client.data_to_send())

    answers: list[ResponseReceived] = []
    while not answers:
        events = client.receive_data(connection.recv(65536))
        answers = [event for event in events if isinstance(event, ResponseReceived)]
    connection.close()

    assert dict(answers[0].headers or [])[":status"] == "505"


# --- what must not be there


@pytest.mark.requirement("13.4.4")
def test_cross_site_tracing_trace_is_rejected_and_echoes_no_cookie(server: Server) -> None:
    request = b"TRACE / HTTP/1.1\r\nHost: localhost\r\nCookie: quartlogin=a-secret\r\nConnection: close\r\n\r\n"

    heard = conversation(connect(server), request)

    assert statuses(heard) == [405]
    assert b"a-secret" not in heard


@pytest.mark.requirement("13.4.1", "13.4.2", "13.4.3", "13.4.5")
@pytest.mark.parametrize(
    "path",
    [
        *("/.git/HEAD", "/.git/config", "/.env", "/app.py", "/pyproject.toml", "/quartlogin.sqlite3", "/schema.sql"),
        *(
            "/quartlogin.sqlite3.secret-key",
            "/templates/accounts/passwords/login.html",
            "/console",
            "/debug",
            "/metrics",
            "/server-status",
        ),
        *("/static/accounts/", "/static", "/docs", "/openapi.json", "/swagger", "/graphql", "/.well-known/", "/admin"),
        *(
            "/static/accounts/../__init__.py",
            "/static/accounts/%2e%2e/__init__.py",
            "/static/accounts/..%2f__init__.py",
            "/static/accounts/..%5c__init__.py",
        ),
        *(
            "/static/accounts//etc/passwd",
            "/static/accounts/%2fetc%2fpasswd",
            "/static/accounts/....//__init__.py",
            "/static/accounts/.%00./__init__.py",
        ),
        *(
            "/static/accounts/%252e%252e/__init__.py",
            "/static/accounts/style.css/../../keys.py",
            "/static/accounts/%c0%ae%c0%ae/keys.py",
        ),
        *(
            "/../quartlogin.sqlite3",
            "//etc/passwd",
            "/static/accounts/\\..\\__init__.py",
            "/?debug=1&__debugger__=yes&cmd=x.js",
        ),
    ],
)
def test_debug_pages_and_stray_files_are_not_served(server: Server, path: str) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode()

    heard = conversation(connect(server), request)

    home = path.startswith("/?")
    assert statuses(heard) == [200] if home else statuses(heard) in ([404], [400])
    assert not re.search(rb'root:|SQLite format|import |"""|\[core\]|Traceback|Index of|__debugger__', heard)


@pytest.mark.requirement("13.4.6")
@pytest.mark.parametrize("path", [b"/login", b"/nothing", b"/static/accounts/style.css", b"/%ff", b"/healthz"])
def test_version_disclosure_no_response_names_its_software(server: Server, path: bytes) -> None:
    heard = conversation(connect(server), b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
    head = heard.partition(b"\r\n\r\n")[0].lower()

    assert b"\r\nserver:" not in head
    assert not re.search(rb"hypercorn|quart/|python|werkzeug|x-powered-by", head)


# The last one: it leaves lines in the server's log on some versions of Quart.


def is_open_at(server: Server, port: int) -> bool:
    """Whether the server still has the connection that comes from this port."""
    end = f":{server.port:04X} 0100007F:{port:04X} 01 "
    return end in Path("/proc/net/tcp").read_text()


@pytest.mark.requirement("13.1.3", "15.2.2")
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Only Linux gives such a client up.")
def test_slow_read_a_client_that_reads_no_response_is_disconnected(server: Server) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(("127.0.0.1", server.port))
    port = connection.getsockname()[1]
    connection.setblocking(False)
    with suppress(BlockingIOError):
        connection.sendall(b"GET /static/accounts/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000)

    begun = time.monotonic()
    was_open = is_open_at(server, port)
    while is_open_at(server, port) and time.monotonic() - begun < 2 * PATIENCE:
        time.sleep(0.2)
    is_given_up = not is_open_at(server, port)

    connection.close()
    assert was_open
    assert is_given_up
