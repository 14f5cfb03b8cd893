"""Report the steps of a request to listeners: `with listening(print): ...`.

Usually there are none. Then a step is one look at an empty tuple: each caller asks `if tracing.listeners:` first, so
that no object is made for it.

No step contains a secret: no cookie's value, token, password, query, path, header's text, or message of an error. A
login is named by `label_of` its id.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from logging import getLogger
from threading import Lock
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, ParamSpec

from quart import has_app_context

from .context import current_connection, running_app

#: The steps, each with its meaning and its details.
STEPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "request": "A request or a websocket began: its `method`, `scheme`, `host`, `root` path, `route`, "
        "`endpoint`, the names of its `cookies`, how a browser came to send it (`fetch_site`, `fetch_dest`), and "
        "whether "
        "it is a `websocket`.",
        "session_cookie": "The session cookie was read: its `cookie` name, `outcome`, `length` in characters, `age` "
        "in seconds, and the `key` that has signed it.",
        "session": "The session was asked who is signed in: `user_id`, `login`, `fresh`, `fresh_age` in seconds, "
        "`permanent`.",
        "protection": "Session protection compared the browser with the one in which the session began: `mode`, "
        "`outcome`.",
        "remember_cookie": "The remember cookie was read: its `cookie` name, `outcome`, `user_id`, `login`.",
        "bearer": "The bearer token was read: `outcome`, `user_id`, `login`.",
        "restored": "A remember cookie was to restore its login: `outcome`, `user_id`, `login`.",
        "login_row": "The accounts looked up the record of the login: `outcome`, `login`, and the name of the "
        "`record`: the start of the hash under which the database has it. If it is not active, the `reason`, where the "
        "database still has it.",
        "lookup": "One lookup served several requests: `size`, the number of keys.",
        "statement": "The database of the accounts was asked: its `system`, the `sql`, with placeholders for the "
        "values, and the number of `rows` that it returned, if it returns any; or `error`, the name of the class.",
        "database_error": "The database of the accounts failed: its `system`, and `error`, the name of the class.",
        "loader": "A loader was called and answered: `loader`, `user_id`, `outcome`, the `type` of the result, "
        "`error`, and `missing_on_g`, an attribute that the app had not set yet. Where none is registered, "
        "`is_elsewhere` tells whether one is on a manager that no app has.",
        "user": "The user of the request is known: `outcome`, `type`, and whether it is `authenticated`, `active` and "
        "`anonymous`.",
        "template": "A template named `current_user` for the first time: `template`, `line`.",
        "early_read": "`current_user` was used before it was loaded: in `before_request` or a view (`during`), and "
        "`where` in the app's code.",
        "not_awaited": "A `function` that signs in or out was called and never awaited: `where` in the app's code.",
        "guard": "A guard decided: `guard`, `endpoint`, `outcome`.",
        "unauthorized": "A guard answers a visitor whom it rejects: `reason`, `outcome`, and the login page's `view`.",
        "login": "`login_user` was called: `outcome`, `user_id`, `id_type`, `login`, `fresh`, `remember`.",
        "logout": "`logout_user` was called: `user_id`; `outcome`, if it was in vain.",
        "confirmed": "`confirm_login` made the login fresh: `login`, `former`.",
        "login_ended": 'A login ended: `reason`, and its `login` or its `record`, which is "all" if all logins end.',
        "sign_in": "A sign-in with a password succeeded, failed or waits for one more step: `outcome`, `user_id` if "
        "known, and the `feature` whose step it is.",
        "hashing": "A password was hashed or checked: `waited`, seconds in the queue.",
        "hashing_queue": "The queue of the hashes changed: how many are `waiting`, and how many threads are `in_use`.",
        "cookie_written": "The response sets or deletes a cookie: its `cookie` name, `outcome`, `length`, and its "
        "attributes.",
        "response": "The response: its `status`, and the `route` that it redirects to.",
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a request."""

    #: One of `STEPS`.
    name: str
    #: What happened: text, numbers, booleans, `None`, and tuples of these.
    details: Mapping[str, Any]
    #: How long it took, in seconds; `None` for a moment.
    seconds: float | None
    #: When it had happened, in seconds of `time.perf_counter`.
    at: float
    #: The app, `None` outside of all.
    app: Any
    #: The request or websocket object itself, `None` for what happens beside them.
    connection: Any


Listener = Callable[[Step], None]
#: The app and the connection on whose behalf something runs.
Asker = tuple[Any, Any]
P = ParamSpec("P")

#: The listeners, usually none. Read this; `listening`, `add` and `remove` change it.
listeners: tuple[Listener, ...] = ()

_LABEL_LENGTH: Final = 8
#: The apps and connections that a lookup runs for; it has no request itself.
_asked_by: ContextVar[list[Asker] | None] = ContextVar("quartlogin_asked_by", default=None)
_changing: Final = Lock()
_log = getLogger(__name__)


def add(listener: Listener) -> None:
    """Have this function called with each step, at once, in the thread and task in which the step happens.

    Args:
        listener: Takes a `Step`; it must be quick. An error that it raises is logged.
    """
    global listeners  # noqa: PLW0603 -- a tuple is cheaper to look at than an attribute of an object
    with _changing:
        listeners = (*listeners, listener)


def remove(listener: Listener) -> None:
    """Stop calling a function that was added, once for each time that it was; it is fine if it was not."""
    global listeners  # noqa: PLW0603 -- as above
    with _changing:
        kept = [*reversed(listeners)]
        if listener in kept:
            kept.remove(listener)
        listeners = tuple(reversed(kept))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call a function with each step within a `with` block, whatever app and request it belongs to."""
    add(listener)
    try:
        yield
    finally:
        remove(listener)


def tell(name: str, seconds: float | None = None, **details: Any) -> None:
    """Tell the listeners a step; call this only `if tracing.listeners`.

    Args:
        name: One of `STEPS`.
        seconds: How long it took.
        details: What happened, without secrets.
    """
    at, frozen = perf_counter(), MappingProxyType(details)
    for app, connection in askers():
        step = Step(name, frozen, seconds, at, app, connection)
        for listener in listeners:
            _call(listener, step)


def harmless(tell_steps: Callable[P, None]) -> Callable[P, None]:
    """Make a function that tells steps log whatever it raises: listening must change no answer."""

    @wraps(tell_steps)
    def tell_or_log(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell_steps(*args, **kwargs)
        except Exception:
            _log.exception("%s could not tell its step.", tell_steps.__name__)

    return tell_or_log


def askers() -> tuple[Asker, ...]:
    """Return the app and the connection on whose behalf this runs; several in a lookup that several wait for."""
    waiting = _asked_by.get()
    if waiting:
        return tuple(waiting)
    return ((running_app() if has_app_context() else None, current_connection()),)


@contextmanager
def running_for(waiting: Iterable[Asker]) -> Iterator[None]:
    """Count the steps of this context, which has no request, as those of some requests within a block.

    Args:
        waiting: Those who wait; each counts once.
    """
    running = [*{id(connection): (app, connection) for app, connection in waiting}.values()]
    _asked_by.set(running)
    try:
        yield
    finally:
        running.clear()  # tasks that were started within the block keep this context


async def timed(name: str, work: Awaitable[Any], **details: Any) -> Any:
    """Await something and tell how long it took; call this only `if tracing.listeners`.

    Raises:
        Exception: Whatever it raised; the step has the name of its class as `error`.
    """
    started = perf_counter()
    try:
        result = await work
    except Exception as error:
        tell(name, perf_counter() - started, **details, error=type(error).__name__)
        raise
    tell(name, perf_counter() - started, **details)
    return result


def label_of(login_id: str | None) -> str | None:
    """Return a short name for a login, from which its id cannot be found; `None` without one."""
    return None if login_id is None else sha256(login_id.encode("utf-8", "replace")).hexdigest()[:_LABEL_LENGTH]


def _call(listener: Listener, step: Step) -> None:
    try:
        listener(step)
    except Exception:
        _log.exception("A listener failed at the step %r.", step.name)
