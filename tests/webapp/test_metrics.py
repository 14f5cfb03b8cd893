"""The metrics for Prometheus: an address of their own, off by default, and no label that names anybody."""

import asyncio
import socket
import struct
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from quart import Quart

from client import KEY, PASSWORD, Visitor, add_user, guess, with_cheap_hashes
from databases import run_sql
from quartlogin import ConfigurationError, tracing
from quartlogin.telemetry.metrics import serve_metrics
from quartlogin.telemetry.processes import PROCESS_NUMBER
from quartlogin.webapp import SettingsError, create_app
from quartlogin.webapp.cli import source
from servers import SCRIPTS, free_port, running
from sockets import open_socket
from waiting import eventually


class Site:
    """The application with metrics at a free port."""

    def __init__(self, database: str) -> None:
        self.app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
        self.metrics = serve_metrics(self.app, "127.0.0.1:0")

    async def text(self) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{self.metrics.port}/metrics")).text

    async def samples(self) -> dict[tuple[str, ...], float]:
        """Scrape: each number by its name, without the prefix, and the values of its labels."""
        families = text_string_to_metric_families(await self.text())
        return {
            (sample.name.removeprefix("quartlogin_"), *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
async def site(database: str) -> AsyncIterator[Site]:
    site = Site(database)
    async with site.app.test_app():
        yield site


async def test_a_scrape_counts_sign_ins_by_outcome(site: Site) -> None:
    await add_user(site.app, "Alice")
    visitor = Visitor(site.app.test_client())
    await visitor.sign_in()
    await visitor.get("/")
    await guess(site.app, "nobody")
    for _ in range(12):
        await guess(site.app)

    found = await site.samples()
    assert found["sign_ins_total", "signed in"] == 1
    limited = found["sign_ins_total", "rate limited"]
    assert limited > 1
    assert found["sign_ins_total", "wrong name or password"] == 13 - limited
    assert found["hashing_seconds_count",] == found["hashing_wait_seconds_count",] == 2 + 13 - limited
    assert (found["hashing_waiting",], found["hashing_threads_in_use",]) == (0, 0)
    assert found["requests_total", "signed in"] >= 1
    assert found["lookup_keys_bucket", "1.0"] == found["lookup_keys_count",] >= 1
    assert found["statement_seconds_count", "sqlite"] > 1


async def test_a_lookup_that_several_requests_share_is_counted_once(site: Site) -> None:
    visitor = Visitor(site.app.test_client())
    await visitor.register()
    before = await site.samples()
    await asyncio.gather(*(visitor.get("/") for _ in range(4)))
    after = await site.samples()

    def more(name: str, *labels: str) -> float:
        return after[name, *labels] - before.get((name, *labels), 0)

    assert more("lookup_keys_sum") == more("requests_total", "signed in") == 4
    assert more("lookup_keys_count") == more("statement_seconds_count", "sqlite") < 4


async def test_open_websockets_database_errors_and_ended_logins_are_counted(site: Site, database: str) -> None:
    visitor = Visitor(site.app.test_client())
    await visitor.register()
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    async with open_socket(site.app, "/account/live", Cookie=cookie) as live:
        await live.accepted()
        assert (await site.samples())["websockets_open",] == 1
    await visitor.sign_out()
    run_sql(database, "ALTER TABLE quartlogin_attempt_counters RENAME TO gone")
    await guess(site.app)

    found = await site.samples()
    assert found["websockets_open",] == 0
    assert found["logins_ended_total", "logout"] == 1
    assert found["database_errors_total", "OperationalError"] == 1


async def test_no_label_names_a_user_or_tells_whether_a_name_is_taken(site: Site) -> None:
    user = await add_user(site.app, "Alice")
    visitor = Visitor(site.app.test_client())
    await visitor.sign_in()
    await guess(site.app, "SECRET-name")
    await visitor.get("/SECRET-path")

    text = (await site.text()).lower()
    secrets = ["alice", user.id, "secret", PASSWORD, "unknown", "/account", "192.0.2.1"]
    assert [secret for secret in secrets if secret.lower() in text] == []


async def test_nothing_listens_and_nothing_is_counted_by_default(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr("quartlogin.telemetry.metrics.MetricsServer", lambda *args: opened.append(args))

    async with create_app(DATABASE=database, SECRET_KEY=KEY).test_app():
        assert tracing.listeners == ()

    assert opened == []


async def test_dns_rebinding_a_request_for_another_host_gets_no_numbers(site: Site) -> None:
    url = f"http://127.0.0.1:{site.metrics.port}/metrics"
    own = ["localhost", "127.0.0.1:9100", "[::1]"]
    others = ["evil.example", "127.0.0.1.evil.example", "", "0.0.0.0", "[", "a@127.0.0.1", "127.0.0.1/evil.example"]
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = [await client.get(url, headers={"Host": host}) for host in (*own, *others)]

    assert [answer.status_code for answer in answers] == [200] * 3 + [403] * 7
    assert not any("quartlogin_" in answer.text for answer in answers[3:])


async def test_idle_connections_take_a_bounded_number_of_threads(site: Site) -> None:
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", site.metrics.port)) for _ in range(40)]
    closed = [connection for connection in idle[16:] if await asyncio.to_thread(connection.recv, 1) == b""]
    threads = threading.active_count()
    for connection in idle:
        connection.close()

    assert len(closed) == 24
    assert threads - before <= 16 + 2  # and those of this test
    await eventually(lambda: threading.active_count() <= before + 2)
    assert "quartlogin_" in await site.text()


async def test_a_connection_that_is_reset_prints_no_traceback(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    connection = socket.create_connection(("127.0.0.1", site.metrics.port))
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
    await eventually(lambda: threading.active_count() > before)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets it
    connection.close()
    await eventually(lambda: threading.active_count() <= before)

    assert "Traceback" not in capfd.readouterr().err
    assert "quartlogin_" in await site.text()


async def test_each_start_of_a_process_has_the_same_port(database: str) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    first = free_port()
    app.config[PROCESS_NUMBER] = 1
    metrics = serve_metrics(app, f"127.0.0.1:{first - 1}")
    ports = []
    for _ in range(2):
        await metrics.start()
        ports.append(metrics.port)
        await metrics.stop()

    assert ports == [first] * 2


async def test_the_address_is_free_again_when_the_app_has_stopped(database: str) -> None:
    site = Site(database)
    async with site.app.test_app():
        assert tracing.listeners

    assert tracing.listeners == ()
    socket.create_server(("127.0.0.1", site.metrics.port)).close()


async def test_an_address_that_is_taken_stops_the_start_in_one_sentence(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = create_app(DATABASE=database, SECRET_KEY=KEY, METRICS_ADDRESS=address)
        with pytest.raises(ConfigurationError, match=address) as raised:
            await app.startup()
        await app.shutdown()

    assert "\n" not in str(raised.value)
    assert tracing.listeners == ()


async def test_each_further_process_has_the_next_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    app = create_app(DATABASE=str(tmp_path / "a.sqlite3"), SECRET_KEY=KEY)
    metrics = serve_metrics(app, f"127.0.0.1:{port}")
    app.config[PROCESS_NUMBER] = 1

    async with app.test_app():
        assert metrics.port == port + 1


@pytest.mark.slow
async def test_each_worker_of_serve_answers_prometheus_for_itself(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--workers", "2", "--port", str(port)]

    def status(port: int) -> int | None:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).status_code
        return None

    with running(command, port, tmp_path, QUARTLOGIN_METRICS_ADDRESS=f"127.0.0.1:{metrics}"):
        for number in (0, 1):
            await eventually(partial(status, metrics + number))
        assert [status(metrics), status(metrics + 1), status(metrics + 2), status(port)] == [200, 200, None, 404]


async def test_a_command_that_starts_the_app_listens_nowhere(database: str) -> None:
    site = Site(database)

    async with source.running(site.app, "app"):
        assert tracing.listeners == ()


@pytest.mark.parametrize("address", ["9100", ":9100", "127.0.0.1", "127.0.0.1:x", "http://127.0.0.1:9100", "a b:1"])
def test_what_is_no_address_is_refused_at_the_start(database: str, address: str) -> None:
    with pytest.raises(SettingsError, match="METRICS_ADDRESS"):
        create_app(DATABASE=database, SECRET_KEY=KEY, METRICS_ADDRESS=address)


def test_a_second_call_is_refused() -> None:
    app = Quart("app")
    serve_metrics(app, "[::1]:9100")

    with pytest.raises(ConfigurationError, match="once"):
        serve_metrics(app, "[::1]:9101")
    with pytest.raises(ConfigurationError, match="127"):
        serve_metrics(Quart("other"), "127.0.0.1:65536")


@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [("metrics", "prometheus_client", "metrics"), ("opentelemetry", "opentelemetry", "otel")],
)
def test_a_missing_extra_is_named(module: str, needs: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"quartlogin.telemetry.{module}", raising=False)
    monkeypatch.setitem(sys.modules, needs, None)

    with pytest.raises(ConfigurationError, match=rf"quartlogin\[{extra}\]"):
        import_module(f"quartlogin.telemetry.{module}")
