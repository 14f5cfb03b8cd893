"""Decompression bombs and endless messages on a websocket, sent to real servers.

With `-s` each attack prints its figures: the server's peak memory above its start, and how long /healthz took
meanwhile.
"""

import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from client import KEY, PASSWORD
from proxy import HOST, Proxy, in_front_of, nginx_binary, open_tls
from servers import PATIENCE, SCRIPTS, Server, free_port, running

pytestmark = pytest.mark.alone

MEGABYTE = 1024 * 1024
#: What one message or connection may make a server keep: the limit of a message, and room for the allocator.
MOST = 24 * MEGABYTE
FRAMES = 12
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
TEXT, BINARY, CONTINUATION, FINAL, COMPRESSED = 0x1, 0x2, 0x0, 0x80, 0x40


@dataclass
class Target:
    """A server that is attacked, and how to reach it."""

    app: Server
    proxy: Proxy | None

    def connect(self) -> socket.socket:
        if self.proxy is None:
            return self.app.connect()
        return open_tls(self.proxy)

    @property
    def host(self) -> bytes:
        return (f"localhost:{self.app.port}" if self.proxy is None else HOST).encode()

    @property
    def origin(self) -> bytes:
        return (b"http://" if self.proxy is None else b"https://") + self.host


def serve(name: str, stack: ExitStack) -> Target:
    port, folder = free_port(), Path(stack.enter_context(TemporaryDirectory()))
    commands = {
        "hypercorn": [str(SCRIPTS / "hypercorn"), "quartlogin.webapp:create_app()", "--bind", f"127.0.0.1:{port}"],
    }
    serve = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    settings = {"QUARTLOGIN_SECRET_KEY": KEY, "QUARTLOGIN_TRUSTED_PROXIES": "1" if name == "nginx" else "0"}
    app = stack.enter_context(running(commands.get(name, serve), port, folder, **settings))
    if name != "nginx":
        return Target(app, None)
    other = Path(stack.enter_context(TemporaryDirectory()))
    return Target(app, stack.enter_context(in_front_of(app, other)))


@pytest.fixture(scope="module", params=["serve", "hypercorn", "nginx"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "nginx" and nginx_binary() is None:
        if request.config.getoption("--require-everything"):
            pytest.fail("nginx is missing, and --require-everything was given.")
        pytest.skip("nginx is missing: what this test shows was NOT shown.")
    with ExitStack() as stack:
        yield serve(request.param, stack)


@pytest.fixture(scope="module")
def cookie(target: Target) -> bytes:
    """Of somebody who has just registered: everybody may."""
    secure = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"} if target.proxy else {}
    with httpx.Client(base_url=target.app.url, timeout=PATIENCE, headers=secure) as client:
        page = client.get("/register")
        token = re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]  # type: ignore[index]
        sent = "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)
        fields = {"csrf_token": token, "username": "Mallory", "password": PASSWORD}
        answer = client.post("/register", data=fields, headers={"Cookie": sent, "Origin": target.origin.decode()})
        assert answer.status_code == 302
        return "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar).encode()


@contextmanager
def websocket(target: Target, cookie: bytes) -> Iterator[tuple[socket.socket, bytes]]:
    """Open /account/live, offering compression; gives the head of the answer, too."""
    wire, key = target.connect(), b"dGhlIHNhbXBsZSBub25jZQ=="
    wire.sendall(
        b"GET /account/live HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n"
        % (target.host, target.origin, cookie, key, OFFER)
    )
    try:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += wire.recv(1)
        yield wire, head
    finally:
        wire.close()


def frame(payload: bytes, kind: int) -> bytes:
    """A frame of a client, under a mask that changes nothing."""
    size = len(payload)
    length = struct.pack("!BH", 0x80 | 126, size) if 125 < size < 65536 else struct.pack("!BQ", 0x80 | 127, size)
    return bytes([kind]) + (bytes([0x80 | size]) if size < 126 else length) + bytes(4) + payload


@cache
def bomb(megabytes: int = 60) -> bytes:
    """What inflates to a thousand times its size."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packing.compress(bytes(MEGABYTE)) for _ in range(megabytes))
    return (packed + packing.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def whole() -> Iterator[bytes]:
    for _ in range(FRAMES):
        yield frame(bomb(), BINARY | FINAL | COMPRESSED)


def in_fragments() -> Iterator[bytes]:
    packed = bomb()
    pieces = [packed[at : at + 5000] for at in range(0, len(packed), 5000)]
    yield frame(pieces[0], BINARY | COMPRESSED)
    for _ in range(FRAMES):
        yield from (frame(piece, CONTINUATION) for piece in pieces[1:])


def endless_fragments() -> Iterator[bytes]:
    yield frame(b"x", TEXT)
    for _ in range(256):
        yield frame(bytes(MEGABYTE), CONTINUATION)


def one_endless_frame() -> Iterator[bytes]:
    yield frame(b"", BINARY | FINAL)[:1] + struct.pack("!BQ", 0x80 | 127, 1 << 40) + bytes(4)
    for _ in range(256):
        yield bytes(MEGABYTE)


@contextmanager
def asking_for_healthz(server: Server) -> Iterator[list[float]]:
    """Ask again and again, for as long as the block lasts and once more; gives how long each answer took."""
    waits: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            is_last = False
            while not is_last:
                is_last, begun = is_over.is_set(), time.monotonic()
                client.get("/healthz").raise_for_status()
                waits.append(time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()


def attack(target: Target, cookie: bytes, frames: Iterator[bytes]) -> tuple[bool, int, list[float]]:
    """Send frames until the server hangs up. Whether it did, by how much its peak grew, and how long /healthz took."""
    before = target.app.forget_peak()
    with asking_for_healthz(target.app) as waits, websocket(target, cookie) as (wire, head):
        assert b" 101 " in head
        with suppress(OSError):  # it has hung up
            for one in frames:
                wire.sendall(one)
        has_ended = is_hung_up(wire)
    grown = target.app.peak() - before
    print(f"peak memory +{grown / MEGABYTE:.0f} MiB; /healthz: {len(waits)} answers, at most {max(waits):.2f} s")  # noqa: T201
    return has_ended, grown, waits


def is_hung_up(wire: socket.socket) -> bool:
    try:
        while wire.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.requirement("4.4.1", "13.1.3", "15.2.2")
def test_websocket_compression_is_never_negotiated(target: Target, cookie: bytes) -> None:
    with websocket(target, cookie) as (_, head):
        pass

    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-extensions" not in head.lower()
    assert b"deflate" not in head.lower()


@pytest.mark.requirement("13.1.3", "15.2.2")
@pytest.mark.parametrize("frames", [whole, in_fragments, endless_fragments, one_endless_frame])
def test_decompression_bombs_and_endless_messages_use_little_memory_and_are_disconnected(
    target: Target, cookie: bytes, frames: Callable[[], Iterator[bytes]]
) -> None:
    bomb()

    has_ended, grown, waits = attack(target, cookie, frames())

    assert has_ended
    assert grown < MOST
    assert waits
    assert "Traceback" not in target.app.log.read_text()


@pytest.mark.parametrize("kind", [TEXT, TEXT | FINAL, BINARY, BINARY | FINAL], ids=lambda kind: f"{kind:#x}")
def test_the_first_data_frame_closes_the_websocket(target: Target, cookie: bytes, kind: int) -> None:
    """Also one that is only the first fragment of a message: the page has nothing to say."""
    with websocket(target, cookie) as (wire, head):
        assert b" 101 " in head
        wire.sendall(frame(b"hello", kind))
        said = wire.recv(65536)
        has_ended = is_hung_up(answered(wire, said))

    opcode, code = said[0] & 0x0F, struct.unpack("!H", said[2:4])[0]
    assert (opcode, code) == (0x8, 1003 if kind & FINAL else 1009)
    assert has_ended


def answered(wire: socket.socket, said: bytes) -> socket.socket:
    """Answer the server's closing, as browsers do."""
    with suppress(OSError):
        wire.sendall(frame(said[2:4], 0x8 | FINAL))
    return wire


def test_nginx_removes_the_offer_of_websocket_compression(missing: Callable[[str], None], tmp_path: Path) -> None:
    if nginx_binary() is None:
        missing("nginx")
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            wire, _ = listener.accept()
            heard.append(wire.recv(65536))
            wire.close()

        thread = threading.Thread(target=listen)
        thread.start()
        app: Any = Server(None, listener.getsockname()[1], tmp_path)  # type: ignore[arg-type]
        with in_front_of(app, tmp_path) as proxy, suppress(IndexError), websocket_through(proxy) as wire:
            wire.recv(65536)
        thread.join()

    assert b"GET /account/live " in heard[0]
    assert b"upgrade: websocket" in heard[0].lower()
    assert b"sec-websocket-extensions" not in heard[0].lower()


@contextmanager
def websocket_through(proxy: Proxy) -> Iterator[socket.socket]:
    with open_tls(proxy) as wire:
        wire.sendall(
            b"GET /account/live HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
            % (HOST.encode(), OFFER)
        )
        yield wire
