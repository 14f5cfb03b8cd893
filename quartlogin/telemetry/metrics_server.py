"""The small HTTP server that answers Prometheus, in a separate thread."""

import socket
import threading
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from logging import getLogger
from socketserver import ThreadingMixIn
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

_PATIENCE: Final = 10  # seconds until a connection without a complete request is closed
_MOST_CONNECTIONS: Final = 16  # at a time, each with a thread; a further one is closed

#: What a URL may have before or after its host, and a `Host` header may not.
_NOT_IN_HOST: Final = frozenset("/\\?#@ ")
_log = getLogger(__name__)

WSGIApp = Callable[..., Iterable[bytes]]


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves the numbers until it is closed.

    On a loopback address, the request must be for one too: with DNS rebinding, any website that a browser on this
    machine has open could read the numbers otherwise.

    Args:
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        app: Returns the numbers, a WSGI app.

    Raises:
        OSError: It cannot listen there.
        OverflowError: This is no port.
    """

    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, host: str, port: int, app: WSGIApp) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self._room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(address[:2], _Handler)  # type: ignore[arg-type]  # a name or an address, and the port
        self.set_app(_for_loopback(app) if is_loopback(str(address[0])) else app)
        self._thread = threading.Thread(target=self.serve_forever, name="quartlogin-metrics", daemon=True)
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread, if there is room for one more."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection in this thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- the names in its base
        """Log that a connection was given up: `socketserver` would print a traceback."""
        _log.debug("A connection to the metrics ended early.", exc_info=True)

    def close(self) -> None:
        """Stop listening, and wait until it has stopped."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name in its base
        """Log no request: there is one every few seconds."""


def _for_loopback(app: WSGIApp) -> WSGIApp:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if is_loopback(environ.get("HTTP_HOST", "")):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"Ask for the address on which the metrics are served, such as 127.0.0.1.\n"]

    return answer


def is_loopback(host: str) -> bool:
    """Tell whether this is a loopback address or `localhost`, with or without a port."""
    if not _NOT_IN_HOST.isdisjoint(host):
        return False
    try:
        name = urlsplit(f"//[{host}]" if host.count(":") > 1 and not host.startswith("[") else f"//{host}").hostname
        return name == "localhost" or ip_address(name or "").is_loopback
    except ValueError:
        return False
