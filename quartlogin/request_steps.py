"""The steps that every request has: its beginning, its loaders, its guards, its response."""

import sys
from collections.abc import Awaitable, Mapping, Sequence
from inspect import isawaitable, iscoroutine
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart, g, has_app_context, request_finished

from . import tracing
from .clients import is_websocket
from .context import current_connection

#: Where a connection keeps that a template has named the user.
_TOLD_TEMPLATE: Final = "_quartlogin_told_template"
_ATTRIBUTES: Final = ("domain", "expires", "httponly", "max-age", "partitioned", "path", "samesite", "secure")


@tracing.harmless
def tell_request(*, is_foreign: bool = False) -> None:
    """Tell that a request or a websocket began, and have its response told when it is finished.

    Args:
        is_foreign: Whether this is a websocket whose cookies are ignored, since another site's page opened it.
    """
    connection = current_connection()
    if connection is None:
        return
    headers, rule = connection.headers, connection.url_rule
    tracing.tell(
        "request",
        method=connection.method,
        scheme=connection.scheme,
        host=connection.host,
        route=None if rule is None else rule.rule,
        endpoint=connection.endpoint,
        root=connection.root_path,
        cookies=_names_of_cookies(headers.getlist("Cookie")),
        fetch_site=headers.get("Sec-Fetch-Site"),
        fetch_dest=headers.get("Sec-Fetch-Dest"),
        websocket="foreign" if is_foreign else is_websocket(),
    )
    request_finished.connect(_tell_response)


def _names_of_cookies(headers: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the cookies in `Cookie` headers; what has no `=` is a value without a name."""
    pairs = [pair.partition("=") for header in headers for pair in header.split(";")]
    return tuple(name.strip() for name, equals, _ in pairs if equals and name.strip())


async def tell_loader(loader: str, user_id: str | None, work: Awaitable[Any]) -> Any:
    """Await a loader and tell what it answered.

    Args:
        loader: "user_loader", "users_loader" or "request_loader".
        user_id: The id that it is called with.
        work: The call.

    Raises:
        Exception: Whatever the loader raised.
    """
    started = perf_counter()
    try:
        user = await work
    except Exception as error:
        told = {"outcome": "raised", "error": type(error).__name__, "missing_on_g": _missing_on_g(error)}
        tracing.tell("loader", perf_counter() - started, loader=loader, user_id=user_id, **told)
        raise
    told = {"outcome": "no user" if user is None else "user", "type": type(user).__name__}
    tracing.tell("loader", perf_counter() - started, loader=loader, user_id=user_id, **told)
    return user


async def tell_guard(guard: str, check: Awaitable[Any], allowed: object) -> Any:
    """Await a guard's check and tell what it decided.

    Args:
        guard: The guard's name.
        check: The check; it returns `allowed`, or the response, or raises.
        allowed: What it returns for a visitor who may pass.
    """
    outcome = "refused"
    try:
        answer = await check
        outcome = "allowed" if answer is allowed else "refused"
    finally:
        tracing.tell("guard", guard=guard, endpoint=current_connection().endpoint, outcome=outcome)
    return answer


@tracing.harmless
def tell_template(frame: FrameType) -> None:
    """Tell that a template named the user, unless one has already in this request.

    Args:
        frame: The frame of the code that Jinja has compiled the template to.
    """
    connection = current_connection()
    if connection is None or _TOLD_TEMPLATE in vars(connection):
        return
    vars(connection)[_TOLD_TEMPLATE] = True
    tracing.tell("template", template=frame.f_globals.get("name"), line=_line_of(frame))


@tracing.harmless
def tell_early_read(during: str) -> None:
    """Tell which line of the app's code used the user before it was loaded.

    Args:
        during: "before_request" or "view".
    """
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    tracing.tell("early_read", during=during, where=f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}")


@tracing.harmless
def tell_user(user: Any) -> None:
    """Tell what a request's user object is, `None` if there is none."""
    tracing.tell(
        "user",
        outcome="anonymous" if user is None else "found",
        type=type(user).__name__,
        authenticated=user is not None and _answer_of(user, "is_authenticated"),
        active=user is not None and _answer_of(user, "is_active"),
        anonymous=user is None or _answer_of(user, "is_anonymous"),
    )


def _answer_of(user: Any, question: str) -> bool | str:
    """Return a user's answer to a question, or what is wrong with it: "missing", "raised" or "method"."""
    try:
        answer = getattr(user, question)
        if iscoroutine(answer):
            answer.close()  # or Python warns that it was never awaited, too
        return "method" if callable(answer) or isawaitable(answer) else bool(answer)
    except AttributeError:
        return "missing"
    except Exception:  # such as that of a property which asks the database
        return "raised"


def _line_of(frame: FrameType) -> int | None:
    """Return the line of a template that a line of the compiled code comes from."""
    pairs = (pair.partition("=") for pair in str(frame.f_globals.get("debug_info", "")).split("&"))
    lines = [int(line) for line, _, compiled in pairs if compiled.isdigit() and int(compiled) <= frame.f_lineno]
    return lines[-1] if lines else None


async def _tell_response(app: Quart, response: Any, **_: Any) -> None:
    if not tracing.listeners:
        request_finished.disconnect(_tell_response)
        return
    if response is None:
        return
    _tell_headers(app, response)


@tracing.harmless
def _tell_headers(app: Quart, response: Any) -> None:
    for header in response.headers.getlist("Set-Cookie"):
        tracing.tell("cookie_written", **_cookie_facts(header))
    location = response.headers.get("Location")
    tracing.tell("response", status=response.status_code, route=None if location is None else _route_of(app, location))


def _cookie_facts(header: str) -> dict[str, Any]:
    """Return what a `Set-Cookie` header says, without the cookie's value."""
    pair, *attributes = header.split(";")
    name, _, value = pair.partition("=")
    parts = (attribute.strip().partition("=") for attribute in attributes)
    given: Mapping[str, Any] = {key.lower(): text if has_text else True for key, has_text, text in parts}
    facts = {key.replace("-", "_"): given[key] for key in _ATTRIBUTES if key in given}
    is_deleted = given.get("max-age") == "0" or not value
    return {"cookie": name, "outcome": "deleted" if is_deleted else "set", "length": len(pair), **facts}


def _route_of(app: Quart, location: str) -> str | None:
    """Return the route of the app's own page that a redirect leads to, `None` for any other address."""
    connection = current_connection()
    try:
        target = urlsplit(location)
        if target.netloc not in {"", connection.host}:
            return None
        rule, _ = app.url_map.bind(connection.host).match(target.path, method="GET", return_rule=True)
    except Exception:  # an invalid address, or an error of the app's own converters
        return None
    found: str = rule.rule
    return found


def _missing_on_g(error: Exception) -> str | None:
    """Return the attribute that a loader missed on `g`, if that is why it failed."""
    if not isinstance(error, AttributeError) or not has_app_context():
        return None
    real: Any = g._get_current_object()  # it is a proxy
    return error.name if error.obj is real else None
