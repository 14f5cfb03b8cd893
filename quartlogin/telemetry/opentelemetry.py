"""`instrument`: the steps of an app's requests as spans and events of OpenTelemetry.

Each belongs to the span of its request, which the app's own instrumentation begins, such as that of ASGI. Without such
a span, or if it is not recorded, nothing is made.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from quart import Quart

from .. import tracing
from ..errors import ConfigurationError
from ..tracing import Step

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError:
    raise ConfigurationError("OpenTelemetry needs one more package: pip install 'quartlogin[otel]'.") from None

__all__ = ["instrument"]

#: Where a connection keeps the context in which its request began.
_CONTEXT: Final = "_quartlogin_otel_context"
#: Where a connection keeps the id of the user that a loader found last.
_LOADED: Final = "_quartlogin_otel_loaded"
_EXTENSION_NAME: Final = "quartlogin.telemetry.opentelemetry"
#: The request's own span says what these do.
_OF_REQUEST: Final = frozenset({"request", "response"})
#: The steps that name the user who signs in, or fails to.
_SIGN_INS: Final = frozenset({"login", "sign_in"})
#: Not for others than listeners in this process: it tells whether a name is taken.
_UNKNOWN_NAME: Final = "unknown name"
_WRONG: Final = "wrong name or password"
_TABLE: Final = re.compile(r"\bquartlogin_\w+")
_NANOSECONDS: Final = 1_000_000_000


def instrument(
    app: Quart, *, tracer_provider: trace.TracerProvider | None = None, user_ids: bool = False
) -> "SpanMaker":
    """Add the steps of an app's requests to their spans; a second call changes nothing.

    Args:
        app: The app.
        tracer_provider: Where the spans go; the global provider if `None`.
        user_ids: Whether the spans of signed-in users have `enduser.id`, which is personal data.

    Returns:
        The listener; `tracing.remove(listener)` ends it.
    """
    if _EXTENSION_NAME not in app.extensions:
        app.extensions[_EXTENSION_NAME] = SpanMaker(app, tracer_provider, user_ids=user_ids)
        tracing.add(app.extensions[_EXTENSION_NAME])
    maker: SpanMaker = app.extensions[_EXTENSION_NAME]
    return maker


class SpanMaker:
    """Listens to the steps of one app, and makes spans of those that take time, and events of the others.

    Args:
        app: The app.
        tracer_provider: As for `instrument`.
        user_ids: As for `instrument`.
    """

    def __init__(self, app: Quart, tracer_provider: trace.TracerProvider | None, *, user_ids: bool) -> None:
        self._app = app
        self._user_ids = user_ids
        self._tracer = trace.get_tracer("quartlogin", tracer_provider=tracer_provider)

    def __call__(self, step: Step) -> None:
        """Add a step to the span of its request, if it is one of this app and is recorded."""
        if step.app is not self._app or step.connection is None:
            return
        if step.name == "request":
            vars(step.connection)[_CONTEXT] = contexts.get_current()
        parent = _context_of(step)
        span = trace.get_current_span(parent)
        if not span.is_recording() or step.name in _OF_REQUEST:
            return
        if self._user_ids and (user_id := _authenticated_by(step)) is not None:
            span.set_attribute("enduser.id", user_id)
        if step.seconds is None:
            self._add_event(span, step)
        elif step.name == "statement":
            self._make_span(step, parent, _statement_name(step.details["sql"]), _statement(step.details))
        else:
            self._make_span(step, parent, f"quartlogin.{step.name}", self._attributes(step))

    def _add_event(self, span: Span, step: Step) -> None:
        span.add_event(f"quartlogin.{step.name}", self._attributes(step))
        if step.name == "user":
            span.set_attribute("quartlogin.user", step.details["outcome"])

    def _make_span(self, step: Step, parent: Context, name: str, attributes: Mapping[str, Any]) -> None:
        ended = time.time_ns()
        began = ended - int((step.seconds or 0) * _NANOSECONDS)
        kind = SpanKind.CLIENT if step.name == "statement" else SpanKind.INTERNAL
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=began)
        if (error := step.details.get("error")) is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def _attributes(self, step: Step) -> dict[str, Any]:
        facts = {key: value for key, value in step.details.items() if value is not None and key != "user_id"}
        if facts.get("outcome") in {_UNKNOWN_NAME, "wrong password"}:
            facts["outcome"] = _WRONG
        return {f"quartlogin.{key}": value for key, value in facts.items()}


def _authenticated_by(step: Step) -> str | None:
    """Return the id of the user whom a step has authenticated: never one that a visitor has only named.

    The step `user` has no id: the loader before it was called with it.
    """
    kept, outcome = vars(step.connection), step.details.get("outcome")
    if step.name == "loader":
        kept[_LOADED] = step.details["user_id"] if outcome == "user" else None
    if step.name == "user":
        loaded: str | None = kept.get(_LOADED) if outcome == "found" else None
        return loaded
    return step.details["user_id"] if step.name in _SIGN_INS and outcome == "signed in" else None


def _context_of(step: Step) -> Context:
    """Return the current context if it is part of the request's trace, and else that in which the request began.

    A lookup that several requests wait for runs in a separate context, and counts as a step of each.
    """
    current, began = contexts.get_current(), vars(step.connection).get(_CONTEXT)
    if began is None or _trace_of(current) == _trace_of(began):
        return current
    kept: Context = began
    return kept


def _trace_of(context: Context) -> int:
    return trace.get_current_span(context).get_span_context().trace_id


def _statement_name(sql: str) -> str:
    """Return a name that many statements share: the operation and the first table."""
    table = _TABLE.search(sql)
    return sql.split(maxsplit=1)[0] + ("" if table is None else f" {table[0]}")


def _statement(details: Mapping[str, Any]) -> dict[str, Any]:
    sql = details["sql"]
    attributes = {
        "db.system.name": details["system"],
        "db.query.text": sql,
        "db.query.summary": _statement_name(sql),
        "db.operation.name": sql.split(maxsplit=1)[0],
    }
    rows = details["rows"]
    return attributes if rows is None else {**attributes, "db.response.returned_rows": rows}
