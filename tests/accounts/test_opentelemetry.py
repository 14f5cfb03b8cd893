"""The steps of requests as spans of OpenTelemetry: children of the request's span, and never a name or a secret."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from quart import Quart

from client import PASSWORD, Visitor, guess, header_of
from databases import run_sql
from quartlogin import tracing
from quartlogin.accounts import get_accounts
from quartlogin.telemetry.opentelemetry import instrument


class Traces:
    """An app whose requests have a span, as an instrumentation of ASGI gives them, and what was exported."""

    def __init__(self, app: Quart) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer, self._asgi = self.provider.get_tracer("server"), app.asgi_app
        app.asgi_app = self.serve  # type: ignore[method-assign]  # as Quart asks

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        with self._tracer.start_as_current_span("request"):
            await self._asgi(scope, receive, send)

    def take(self, name: str = "request") -> tuple[ReadableSpan, list[ReadableSpan]]:
        """Return the last span of a name, and its children."""
        spans = [*self._exporter.get_finished_spans()]
        self._exporter.clear()
        request = next(span for span in reversed(spans) if span.name == name)
        return request, [span for span in spans if span.parent and span.parent.span_id == request.context.span_id]

    def text(self) -> str:
        return "".join(span.to_json() for span in self._exporter.get_finished_spans())


@pytest.fixture
def traces(app: Quart) -> Iterator[Traces]:
    made = Traces(app)
    listener = instrument(app, tracer_provider=made.provider)
    yield made
    tracing.remove(listener)


async def test_steps_that_take_time_are_children_of_the_requests_span(
    traces: Traces, visitor: Visitor, alice: str
) -> None:
    await visitor.sign_in()
    _, signing_in = traces.take()
    await visitor.get("/")
    request, children = traces.take()

    assert "quartlogin.hashing" in {span.name for span in signing_in}
    assert {span.name for span in children} == {
        "SELECT quartlogin_logins",
        "quartlogin.lookup",
        "quartlogin.loader",
    }
    statement = next(span for span in children if span.name.startswith("SELECT"))
    assert statement.kind == SpanKind.CLIENT
    assert statement.attributes["db.system.name"] == "sqlite"
    assert statement.attributes["db.response.returned_rows"] == 1
    assert "$1" in statement.attributes["db.query.text"]
    assert request.attributes["quartlogin.user"] == "found"
    assert {"quartlogin.session_cookie", "quartlogin.protection"} <= {event.name for event in request.events}
    assert all(request.start_time <= span.start_time <= span.end_time <= request.end_time for span in children)


async def test_a_step_within_a_span_of_the_apps_own_is_its_child(app: Quart, traces: Traces, visitor: Visitor) -> None:
    @app.get("/own")
    async def own() -> str:
        with traces.provider.get_tracer("app").start_as_current_span("work"):
            return str(len(await get_accounts(app).passwords.hashing.hash(PASSWORD)))

    await visitor.get("/own")
    _, children = traces.take("work")

    assert [span.name for span in children] == ["quartlogin.hashing"]


async def test_a_lookup_of_several_requests_is_a_child_of_each(app: Quart, traces: Traces, visitor: Visitor) -> None:
    await visitor.register()
    traces._exporter.clear()
    await asyncio.gather(*(visitor.get("/") for _ in range(3)))

    spans = traces._exporter.get_finished_spans()
    requests = {span.context.span_id for span in spans if span.name == "request"}
    lookups = {span.parent.span_id for span in spans if span.name == "quartlogin.lookup" and span.parent}
    assert lookups == requests
    assert len(requests) == 3


async def test_a_failing_database_is_an_error_of_its_span(traces: Traces, visitor: Visitor, database: str) -> None:
    await visitor.register()
    run_sql(database, "ALTER TABLE quartlogin_logins RENAME TO gone")

    assert (await visitor.get("/")).status == 503
    _, children = traces.take()
    failed = [span for span in children if span.status.status_code == StatusCode.ERROR]
    assert "OperationalError" in {span.attributes["error.type"] for span in failed}


async def test_no_span_names_a_user_or_tells_whether_a_name_is_taken(
    app: Quart, traces: Traces, visitor: Visitor, alice: str
) -> None:
    await guess(app, "SECRET-name")
    await guess(app)
    await visitor.sign_in()
    await visitor.get("/account")

    exported = traces.text()
    cookies = [part for cookie in visitor.cookies.values() for part in cookie.split(".") if part]
    assert [text for text in ("SECRET", alice, PASSWORD, "unknown name", *cookies) if text in exported] == []
    assert exported.count("wrong name or password") == 2


@pytest.fixture
def traces_with_ids(app: Quart) -> Iterator[Traces]:
    made = Traces(app)
    listener = instrument(app, tracer_provider=made.provider, user_ids=True)
    yield made
    tracing.remove(listener)


async def test_user_ids_are_exported_on_request(traces_with_ids: Traces, visitor: Visitor, alice: str) -> None:
    await visitor.sign_in()
    signing_in, _ = traces_with_ids.take()
    await visitor.get("/")
    loaded, _ = traces_with_ids.take()

    assert [span.attributes["enduser.id"] for span in (signing_in, loaded)] == [alice, alice]


async def test_a_guess_is_never_exported_with_the_id_of_the_attacked_account(
    app: Quart, traces_with_ids: Traces, visitor: Visitor, alice: str
) -> None:
    await guess(app)
    await guess(app, "nobody")
    await visitor.get("/")

    assert "enduser.id" not in traces_with_ids.text()


async def test_a_session_whose_login_has_ended_is_exported_without_an_id(
    app: Quart, traces_with_ids: Traces, visitor: Visitor, alice: str
) -> None:
    await visitor.sign_in()
    copied = header_of(visitor.cookies)
    await visitor.sign_out()
    traces_with_ids.take()

    await app.test_client(use_cookies=False).get("/account", headers=copied)

    assert "ended or unknown" in traces_with_ids.text()
    assert "enduser.id" not in traces_with_ids.text()


async def test_without_an_sdk_pages_are_as_before(app: Quart, visitor: Visitor, alice: str) -> None:
    listener = instrument(app)
    assert instrument(app) is listener
    assert tracing.listeners.count(listener) == 1

    await visitor.sign_in()

    assert (await visitor.get("/account")).status == 200
    tracing.remove(listener)
    assert not trace.get_current_span().is_recording()


async def test_an_exporter_that_fails_breaks_no_request(
    app: Quart, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, traces: Traces
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("opentelemetry.sdk.trace.Span.add_event", fail)

    assert (await visitor.get("/login")).status == 200
