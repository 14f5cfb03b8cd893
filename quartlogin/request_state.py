"""The state of one request or websocket: what is known about its user.

It is kept on the request or websocket object itself. `g` would not do: requests served inside one app context share it,
and a copied context may get a new one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, Final
from weakref import ref

from quart.typing import ResponseTypes

from . import tokens
from .batching import is_inside_lookup
from .cache_headers import mark_private, vary_on
from .clients import is_browser
from .context import STATE, current_connection
from .errors import UserNotLoadedError
from .sessions import login_session

_UNKNOWN: Final[Any] = object()

#: The state whose loader is running in this task, or in a task or thread that the loader started.
loader_of: Final[ContextVar["UserState | None"]] = ContextVar("quartlogin_loader_of", default=None)
#: The state whose response body is being streamed by this task.
_body_of: ContextVar["UserState | None"] = ContextVar("quartlogin_body_of", default=None)
#: The task that serves a request, and its state; the tasks that it has started see it, too.
_serving: ContextVar["tuple[ref[asyncio.Task[Any]], UserState] | None"] = ContextVar("quartlogin_serving", default=None)
#: The user that a job or a shell acts as, outside of any request.
_acting_as: ContextVar["UserState | None"] = ContextVar("quartlogin_acting_as", default=None)


class Deleted(Enum):
    """The remember cookie of a response that deletes it."""

    DELETED = auto()


class UserState:
    """The user state of one request or websocket."""

    __slots__ = (
        "__weakref__",
        "_bearer",
        "_login_id",
        "_secret_hash",
        "_user",
        "accessed",
        "error",
        "error_raised",
        "fresh",
        "headers_sent",
        "is_answered",
        "is_loading",
        "is_preparing",
        "left_by",
        "loaded",
        "loop",
        "reload_user",
        "remember_cookie",
        "signs_in",
        "unmarked_response",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        #: The loop that serves this request; threads load the user there.
        self.loop = loop
        #: The error that the loader raised, if it did.
        self.error: Exception | None = None
        #: Whether it was raised to any caller.
        self.error_raised = False
        #: Whether the user was accessed, so that the response depends on it.
        self.accessed = False
        #: The finished response, as long as it allows caches to store it.
        self.unmarked_response: ResponseTypes | None = None
        #: Whether the response is finished: its cookies are written.
        self.is_answered = False
        #: Whether its headers have been sent, as while a body is streamed.
        self.headers_sent = False
        #: Whether `before_request` functions are running.
        self.is_preparing = False
        #: Whether a load is running now.
        self.is_loading = False
        #: Set when that load has ended, if other tasks wait for it.
        self.loaded: asyncio.Event | None = None
        #: Whether the login is fresh, if the session does not decide it.
        self.fresh: bool | None = None
        #: The remember cookie of the response: a token to set, or a deletion; `None`: neither. It is not kept in the
        #: session, which the view may clear before or after.
        self.remember_cookie: tokens.Token | Deleted | None = None
        #: The user whose login this request has removed from the session: the rest of the session is theirs.
        self.left_by: str | None = None
        #: Whether this request has signed a user in.
        self.signs_in = False
        #: Loads the same user again, for a websocket that stays open; `None` for an anonymous visitor.
        self.reload_user: Callable[[], Awaitable[Any]] | None = None
        self._user: Any = _UNKNOWN
        self._login_id: Any = _UNKNOWN
        self._secret_hash: Any = _UNKNOWN
        self._bearer: Any = _UNKNOWN

    @property
    def bearer(self) -> tokens.Credential | None:
        """The request's bearer token, ours or not, `None` if it has none; it is read once."""
        if self._bearer is _UNKNOWN:
            text = tokens.bearer_token()
            self._bearer = None if text is None else tokens.read("bearer", text)
        bearer: tokens.Credential | None = self._bearer
        return bearer

    @property
    def uses_cookies(self) -> bool:
        """Whether the cookies of this request may identify its sender.

        Beside a bearer token of ours they do not. Another one may come from a gateway in front of the app, which adds
        it to every request: a browser's cookies are checked beside it.
        """
        return self.bearer is None or (not self.bearer.is_ours and is_browser())

    @property
    def is_resolved(self) -> bool:
        """Whether the user, possibly the anonymous one, is known."""
        return self._user is not _UNKNOWN

    def is_on_its_loop(self) -> bool:
        """Tell whether the loop that serves this request is the running one."""
        return self.loop is asyncio.get_running_loop()

    @property
    def user(self) -> Any:
        """The user; check `is_resolved` first."""
        return self._user

    def set_user(self, user: Any) -> None:
        """Set the user, as a login and a logout do; also while a load is running."""
        self.resolve(user)
        self.accessed = True

    def resolve(self, user: Any) -> None:
        """Keep the user that a loader has returned."""
        self._user = user
        self.error, self.error_raised = None, False

    def access(self) -> None:
        """Mark the response as private: it depends on the user.

        Raises:
            UserNotLoadedError: This is the body of a response whose headers allow caches to store it.
        """
        if loader_of.get() is self:
            return  # the caller that has the user loaded decides whether the response depends on it
        if self.unmarked_response is not None:
            self._mark_late(self.unmarked_response)
        self.accessed = True

    def _mark_late(self, response: ResponseTypes) -> None:
        """Mark a response that is already finished, as for a receiver of `request_finished`."""
        if _body_of.get() is self:
            raise UserNotLoadedError(
                "current_user is asked for in a streamed body, after headers that let caches keep this answer: write "
                "`await current_user` in the view before the stream starts."
            )
        if not self.headers_sent:
            self.unmarked_response = None
            self.mark(response)

    def mark(self, response: ResponseTypes) -> None:
        """Tell caches that this response is for one visitor only."""
        mark_private(response)
        if self.bearer is not None:
            vary_on(response, "Authorization")

    async def watch(self, body: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        """Yield the parts of a streamed body, and remember meanwhile that it is one."""
        self.headers_sent = True
        _body_of.set(self)
        try:
            async for part in body:
                yield part
        finally:
            _body_of.set(None)
            if isinstance(body, AsyncGenerator):
                await body.aclose()

    @property
    def login_id(self) -> str | None:
        """The login's id: the bearer token's, or the session's, unless a cookie named another one."""
        if self._login_id is _UNKNOWN:
            if self.uses_cookies:
                return login_session.login_id()
            token = None if self.bearer is None else self.bearer.token
            self._login_id = None if token is None else token.login_id
        login_id: str | None = self._login_id
        return login_id

    @login_id.setter
    def login_id(self, login_id: str | None) -> None:
        self._login_id = login_id

    @property
    def secret_hash(self) -> str | None:
        """The hash of the secret of the remember cookie that this came with, `None` if there is nothing to compare.

        It is the session's, unless a websocket came with the cookie itself.
        """
        if self._secret_hash is not _UNKNOWN:
            kept: str | None = self._secret_hash
            return kept
        return login_session.secret_hash() if self.is_sessions_login else None

    @secret_hash.setter
    def secret_hash(self, secret_hash: str | None) -> None:
        self._secret_hash = secret_hash

    @property
    def is_sessions_login(self) -> bool:
        """Whether the login is the one that the session names, as far as is known."""
        return self._login_id is _UNKNOWN and self.uses_cookies


def state_of_request() -> UserState | None:
    """Return the state of the current request or websocket, `None` outside of both."""
    acting = _acting_as.get()
    if acting is not None:
        return acting
    connection = current_connection()
    if connection is None:
        return None
    attributes = vars(connection)
    state: UserState | None = attributes.get(STATE)
    if state is None:
        state = attributes[STATE] = UserState(running_loop())
    return state


def state_of_asker() -> UserState | None:
    """Return the state of the current request or websocket, for callers that depend on it.

    Raises:
        UserNotLoadedError: The caller is a lookup that several requests wait for.
    """
    state = state_of_request()
    if state is None and is_inside_lookup():
        raise UserNotLoadedError(
            "A lookup of many keys, as in a users_loader, asked for a request's user or login. It serves several "
            "requests and has no current one: put everything that it needs into the keys."
        )
    return state


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Make `current_user` this user within a block, in this task and those that it starts."""
    around = state_of_request()
    if around is not None:
        around.accessed = True  # the surrounding response depends on that user now
    state = UserState(running_loop())
    state.set_user(user)
    state.login_id = None
    state.fresh = False
    token = _acting_as.set(state)
    try:
        yield
    finally:
        _acting_as.reset(token)


def begin_request() -> None:
    """Note the task and the loop that serve this request: it may start tasks and threads that access the user."""
    state = state_of_request()
    if state is not None:
        state.is_preparing = True
        task: Any = asyncio.current_task()
        _serving.set((ref(task), state))


def end_preparing() -> None:
    """Note that all `before_request` functions have run."""
    serving = _serving.get()
    if serving is not None:
        serving[1].is_preparing = False


def is_outside_its_request() -> bool:
    """Tell whether this task was started by a request and runs outside of it, as Quart 0.23's background tasks do."""
    serving = _serving.get()
    return serving is not None and running_loop() is not None and serving[0]() is not asyncio.current_task()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
