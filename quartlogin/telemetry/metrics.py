"""`serve_metrics`: counts the steps of an app for Prometheus, and serves them at a separate address."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from quart import Quart

from .. import tracing
from ..context import manager_of
from ..errors import ConfigurationError
from ..tracing import Step
from .metrics_server import MetricsServer
from .processes import PROCESS_NUMBER

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
except ImportError:
    raise ConfigurationError("The metrics need one more package: pip install 'quartlogin[metrics]'.") from None

__all__ = ["serve_metrics"]

_EXTENSION_NAME: Final = "quartlogin.telemetry.metrics"
_HIGHEST_PORT: Final = 65535
_KEYS: Final = (1, 2, 4, 8, 16, 32, 64, 100)
#: Readers of the metrics need not know whether a name is taken.
_OUTCOMES: Final = {"unknown name": "wrong name or password", "wrong password": "wrong name or password"}


def serve_metrics(app: Quart, address: str) -> "ServedMetrics":
    """Count the steps of an app, and answer Prometheus at an address while the app is served.

    Anybody who can reach the address can read the numbers, so let it be a loopback address, or one that only Prometheus
    can reach.

    Args:
        app: The app.
        address: Such as `127.0.0.1:9100`. Of several processes of `quartlogin serve`, the second one has the next port.

    Raises:
        ConfigurationError: This is no address, or the app has one already. When the app starts, another program listens
            there.
    """
    if _EXTENSION_NAME in app.extensions:
        raise ConfigurationError("serve_metrics() was called twice for this app: call it once.")
    server = app.extensions[_EXTENSION_NAME] = ServedMetrics(app, *_parse(address))
    app.before_serving(server.start)
    app.after_serving(server.stop)
    return server


class ServedMetrics:
    """The numbers of one app in this process, served to Prometheus while the app is.

    Args:
        app: The app.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
    """

    def __init__(self, app: Quart, host: str, port: int) -> None:
        self._app, self._host, self._first_port = app, host, port
        #: The port on which it listens, or listened last.
        self.port = port
        self._metrics = Metrics(app)
        self._server: MetricsServer | None = None

    async def start(self) -> None:
        """Listen, and count from now on, unless a command has started the app.

        Raises:
            ConfigurationError: It cannot listen.
        """
        number = self._app.config.get(PROCESS_NUMBER, 0)
        if number is None:
            return
        self.port = self._first_port + number if self._first_port else 0
        try:
            self._server = MetricsServer(self._host, self.port, make_wsgi_app(self._metrics.registry))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"Cannot serve the metrics at {self._host}:{self.port}: {reason.lower()}. Choose another address."
            ) from error
        self.port = self._server.server_port
        tracing.add(self._metrics)

    async def stop(self) -> None:
        """Stop listening and counting."""
        tracing.remove(self._metrics)
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.close)


class Metrics:
    """Counts the steps of one app. No label has a user's name or id, a path, or anything else that visitors choose.

    Args:
        app: The app.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        #: The details of the last step, which all who wait for one lookup share.
        self._last: Mapping[str, Any] | None = None
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self.registry, "namespace": "quartlogin"}
        self._users = Counter("requests", "Requests whose user was loaded, by outcome.", ["user"], **new)
        self._sign_ins = Counter("sign_ins", "Sign-ins with a password, by outcome.", ["outcome"], **new)
        self._ended = Counter("logins_ended", "Logins that have ended, by reason.", ["reason"], **new)
        self._waiting = Gauge("hashing_waiting", "Passwords that wait to be hashed.", **new)
        self._in_use = Gauge("hashing_threads_in_use", "Threads that hash passwords.", **new)
        self._waited = Histogram("hashing_wait_seconds", "Time that a password waited to be hashed.", **new)
        self._hashing = Histogram("hashing_seconds", "Time that a hash took.", **new)
        self._lookups = Histogram("lookup_keys", "Keys of one lookup.", buckets=_KEYS, **new)
        self._statements = Histogram("statement_seconds", "Time that a statement took.", ["system"], **new)
        self._errors = Counter("database_errors", "Failures of the database, by class.", ["error"], **new)
        self._sockets = Gauge("websockets_open", "Open websockets of logins.", **new)
        self._sockets.set_function(self._open_sockets)
        self._counts = {
            "user": self._count_user,
            "sign_in": self._count_sign_in,
            "login_ended": self._count_login_ended,
            "hashing_queue": self._count_hashing_queue,
            "hashing": self._count_hashing,
            "lookup": self._count_lookup,
            "statement": self._count_statement,
            "database_error": self._count_database_error,
        }

    def __call__(self, step: Step) -> None:
        """Count a step of this app, or of none; once, although each request that waits for a lookup reports it."""
        count = self._counts.get(step.name)
        if count is None or step.app not in {self._app, None} or step.details is self._last:
            return
        self._last = step.details
        count(step, step.details)

    def _count_user(self, _: Step, details: Mapping[str, Any]) -> None:
        self._users.labels("signed in" if details["outcome"] == "found" else "anonymous").inc()

    def _count_sign_in(self, _: Step, details: Mapping[str, Any]) -> None:
        self._sign_ins.labels(_OUTCOMES.get(details["outcome"], details["outcome"])).inc()

    def _count_login_ended(self, _: Step, details: Mapping[str, Any]) -> None:
        self._ended.labels(details["reason"]).inc()

    def _count_hashing_queue(self, _: Step, details: Mapping[str, Any]) -> None:
        self._waiting.set(details["waiting"])
        self._in_use.set(details["in_use"])

    def _count_hashing(self, step: Step, details: Mapping[str, Any]) -> None:
        self._waited.observe(details["waited"])
        self._hashing.observe(step.seconds or 0)

    def _count_lookup(self, _: Step, details: Mapping[str, Any]) -> None:
        self._lookups.observe(details["size"])

    def _count_statement(self, step: Step, details: Mapping[str, Any]) -> None:
        self._statements.labels(details["system"]).observe(step.seconds or 0)

    def _count_database_error(self, _: Step, details: Mapping[str, Any]) -> None:
        self._errors.labels(details["error"]).inc()

    def _open_sockets(self) -> int:
        with suppress(ConfigurationError):  # an app without a LoginManager
            count: int = manager_of(self._app).sockets.count()
            return count
        return 0


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port[:9]) > _HIGHEST_PORT:
        raise ConfigurationError(f"The address of the metrics must be one such as 127.0.0.1:9100, not {address!r}.")
    return host.strip("[]"), int(port)
