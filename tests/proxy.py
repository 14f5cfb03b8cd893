"""nginx for tests, with the configuration that docs/deploying.md gives, and raw connections to it."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from servers import PATIENCE, Server, free_port, running

#: Seconds after which an answer is complete whose connection stays open.
SILENCE = 5
PAGE = Path(__file__).parent.parent / "docs" / "deploying.md"
HOST = "login.example.org"

_FRAME = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {ours}
}}
"""


@dataclass
class Proxy:
    """A running nginx in front of a running application."""

    nginx: Server
    plain_port: int
    app: Server

    @property
    def port(self) -> int:
        return self.nginx.port

    @property
    def origin(self) -> str:
        return f"https://{HOST}:{self.port}"


def nginx_binary() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def block_of_the_page() -> str:
    """The one block of nginx's language in the page."""
    [block] = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def make_certificate(folder: Path) -> None:
    """Make a certificate that nobody trusts."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "2", "-subj", f"/CN={HOST}"]
    subprocess.run([*command, *files], check=True, capture_output=True)


@contextmanager
def in_front_of(app: Server, folder: Path, changes: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """Run nginx with the page's configuration, on ports and with files of the test's own.

    Args:
        app: What it is in front of.
        folder: For nginx's files.
        changes: What an operator has put instead of lines of the page.
    """
    binary, plain_port, port = nginx_binary(), free_port(), free_port()
    assert binary is not None
    make_certificate(folder)
    ours = block_of_the_page()
    for old, new in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("listen 80", f"listen 127.0.0.1:{plain_port}"),
        ("127.0.0.1:5000", f"127.0.0.1:{app.port}"),
        ("/etc/ssl/login.example.org.pem", str(folder / "certificate.pem")),
        ("/etc/ssl/login.example.org.key", str(folder / "key.pem")),
        *(changes or {}).items(),
    ):
        assert old in ours
        ours = ours.replace(old, new)
    configuration = folder / "nginx.conf"
    configuration.write_text(_FRAME.format(folder=folder, ours=ours))
    (folder / "log").mkdir()
    command = [binary, "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
    with running(command, port, folder / "log") as nginx:
        yield Proxy(nginx, plain_port, app)


def open_tls(proxy: Proxy, **versions: ssl.TLSVersion) -> ssl.SSLSocket:
    """Open a connection to nginx.

    Args:
        proxy: Where.
        versions: The `minimum_version` and `maximum_version` of the client.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server that refuses what is old
    for name, version in versions.items():
        setattr(context, name, version)
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE), server_hostname=HOST
    )


def conversation(connection: socket.socket, request: bytes) -> bytes:
    """Send bytes, and return all that comes back until the other side hangs up, or has said something and no more."""
    connection.settimeout(PATIENCE)
    heard = b""
    with suppress(ConnectionError):  # the other side may have hung up already, and have said why
        connection.sendall(request)
    with suppress(TimeoutError, ConnectionError):
        while data := connection.recv(65536):
            heard += data
            connection.settimeout(SILENCE)
    connection.close()
    return heard


def statuses(heard: bytes) -> list[int]:
    """The statuses of all answers in what was heard."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", heard)]
