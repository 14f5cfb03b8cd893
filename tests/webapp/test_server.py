"""The application under a real Hypercorn, over HTTP."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client import KEY, PASSWORD
from servers import PATIENCE, SCRIPTS, Server, free_port, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """`quartlogin serve` in an empty folder, with nothing prepared."""
    port = free_port()
    with running([str(SCRIPTS / "quartlogin"), "serve", "--port", str(port)], port, tmp_path) as server:
        yield server


def token_in(page: httpx.Response) -> str:
    return re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]


def register(client: httpx.Client, username: str) -> httpx.Response:
    page = client.get("/register")
    return client.post("/register", data={"csrf_token": token_in(page), "username": username, "password": PASSWORD})


def test_serve_creates_what_is_missing_and_says_so(server: Server, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(("-wal", "-shm"))) == [
        "quartlogin.sqlite3",
        "quartlogin.sqlite3.secret-key",
        "server.log",
    ]
    printed = server.log.read_text()
    assert "quartlogin.sqlite3.secret-key" in printed
    assert f"http://localhost:{server.port} " in printed


@pytest.mark.slow
def test_a_client_registers_signs_in_and_signs_out_over_http(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE, follow_redirects=True) as client:
        greeted = register(client, "Alice")
        left = client.post("/logout", data={"csrf_token": token_in(greeted)})
        page = client.get("/login")
        back = client.post("/login", data={"csrf_token": token_in(page), "username": "alice", "password": PASSWORD})
        account = client.get("/account")

    assert "Alice" in greeted.text
    assert "Alice" not in left.text
    assert "Alice" in back.text
    assert "<dd>Alice</dd>" in account.text
    assert "server" not in account.headers


@pytest.mark.slow
def test_a_session_outlives_the_server(tmp_path: Path) -> None:
    command, port = [str(SCRIPTS / "quartlogin"), "serve", "--port"], free_port()

    with httpx.Client(base_url=f"http://localhost:{port}", timeout=PATIENCE) as client:
        with running([*command, str(port)], port, tmp_path):
            register(client, "Alice")
        with running([*command, str(port)], port, tmp_path):
            home = client.get("/")

    assert "Hello, Alice." in home.text


@pytest.mark.slow
def test_sessions_survive_a_key_rotation_of_the_server(tmp_path: Path) -> None:
    quartlogin, port = str(SCRIPTS / "quartlogin"), free_port()
    with httpx.Client(base_url=f"http://localhost:{port}", timeout=PATIENCE) as client:
        with running([quartlogin, "serve", "--port", str(port)], port, tmp_path):
            register(client, "Alice")
        subprocess.run([quartlogin, "secret", "rotate"], cwd=tmp_path, check=True, capture_output=True)
        with running([quartlogin, "serve", "--port", str(port)], port, tmp_path):
            home = client.get("/")

    assert "Hello, Alice." in home.text


@pytest.mark.slow
def test_the_server_ends_when_it_is_asked_to(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        register(client, "Alice")
        server.stop()

    assert server.process.returncode == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_ctrl_c_ends_the_server_without_a_traceback(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    server.process.wait(PATIENCE)

    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_two_workers_serve_one_session(tmp_path: Path) -> None:
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--workers", "2", "--port", str(port)]

    with (
        running(command, port, tmp_path),
        httpx.Client(base_url=f"http://localhost:{port}", timeout=PATIENCE) as client,
    ):
        register(client, "Alice")
        homes = [
            httpx.get(f"http://localhost:{port}/", cookies=dict(client.cookies), timeout=PATIENCE).text
            for _ in range(20)
        ]

    assert ["Hello, Alice." in home for home in homes] == [True] * 20


@pytest.mark.slow
def test_any_asgi_server_can_serve_the_application(tmp_path: Path) -> None:
    port = free_port()
    command = [str(SCRIPTS / "hypercorn"), "quartlogin.webapp:create_app()", "--bind", f"127.0.0.1:{port}"]

    with (
        running(command, port, tmp_path, QUARTLOGIN_SECRET_KEY=KEY),
        httpx.Client(base_url=f"http://localhost:{port}", timeout=PATIENCE, follow_redirects=True) as client,
    ):
        greeted = register(client, "Alice")

    assert "Hello, Alice." in greeted.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: ..\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET evil HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://localhost/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET //[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /login?next=%ff%00//[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: quartlogin=\xff\xfe\xe9; \x80=\x81\r\nConnection: close\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: \xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + b"ffff\r\n"
        + b"x" * 0xFFFF
        + b"\r\nffff\r\n"
        + b"x" * 0xFFFF
        + b"\r\n0\r\n\r\n",
    ],
    ids=range(14),
)
def test_raw_bytes_never_break_the_server(server: Server, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(request_)
        answer = connection.makefile("rb").read(4000)

    assert re.match(rb"HTTP/1\.[01] [234]\d\d ", answer)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
@pytest.mark.requirement("V9")
def test_a_body_without_end_is_not_read_to_the_end(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 200:
                connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
                sent += 1
        except OSError:  # the server has hung up
            pass

    assert sent < 100


@pytest.mark.slow
def test_an_unfinished_form_does_not_keep_the_server_from_ending(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nx"
        )
        server.stop()

    assert server.process.returncode == 0
