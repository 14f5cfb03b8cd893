"""What one request or websocket knows about its user, and where that is kept.

It is kept on the request or websocket object itself. `g` would not do: requests served inside one app context share
it, and a copied context may get a new one.
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
#: The state whose answer's body is being streamed by this task.
_body_of: ContextVar["UserState | None"] = ContextVar("quartlogin_body_of", default=None)
#: The task that serves a request, and what that request knows; the tasks that it has started see it, too.
_serving: ContextVar["tuple[ref[asyncio.Task[Any]], UserState] | None"] = ContextVar("quartlogin_serving", default=None)
#: Whom a job or a shell acts as, outside of any request.
_acting_as: ContextVar["UserState | None"] = ContextVar("quartlogin_acting_as", default=None)


class Deleted(Enum):
    """What a cookie is that the answer deletes."""

    DELETED = auto()


class UserState:
    """What one request or websocket knows about its user."""

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
        #: The loop that serves this request; threads send their questions there.
        self.loop = loop
        #: The error that the loader raised, if it did.
        self.error: Exception | None = None
        #: Whether anybody was told of it.
        self.error_raised = False
        #: Whether anything asked who the user is, so that the answer depends on it.
        self.accessed = False
        #: The finished answer, as long as it lets caches keep it.
        self.unmarked_response: ResponseTypes | None = None
        #: Whether the answer is finished: its cookies are written.
        self.is_answered = False
        #: Whether its headers are on their way, as while a body is streamed.
        self.headers_sent = False
        #: Whether `before_request` functions are running, after which views may have the user loaded for them.
        self.is_preparing = False
        #: Whether a load is running now.
        self.is_loading = False
        #: Set as soon as that load has ended, if anybody waits for it.
        self.loaded: asyncio.Event | None = None
        #: Whether the login is fresh, where the session is not the one to say so.
        self.fresh: bool | None = None
        #: What the answer does with the remember cookie: it sets it to say this, or deletes it; `None`: nothing. It is
        #: not kept in the session, which the view may clear before or after.
        self.remember_cookie: tokens.Token | Deleted | None = None
        #: Whose login this request has taken out of the session: what else is in it then is theirs.
        self.left_by: str | None = None
        #: Whether somebody was signed in by this request.
        self.signs_in = False
        #: Looks the same user up again, for a websocket that stays open; `None` for an anonymous visitor.
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
        """Whether the cookies of this request may say who sent it.

        Beside a bearer token of ours they do not. One that is not may come from a gateway in front of the app, which
        adds it to whatever passes: a browser's cookies count beside it.
        """
        return self.bearer is None or (not self.bearer.is_ours and is_browser())

    @property
    def is_resolved(self) -> bool:
        """Whether the user, be it the anonymous one, is known."""
        return self._user is not _UNKNOWN

    def is_on_its_loop(self) -> bool:
        """Tell whether the loop that serves this request is the one that runs now."""
        return self.loop is asyncio.get_running_loop()

    @property
    def user(self) -> Any:
        """The user; ask `is_resolved` first."""
        return self._user

    def set_user(self, user: Any) -> None:
        """Settle who the user is, as a login and a logout do; also while a load is running."""
        self.resolve(user)
        self.accessed = True

    def resolve(self, user: Any) -> None:
        """Keep the user that a loader has found."""
        self._user = user
        self.error, self.error_raised = None, False

    def access(self) -> None:
        """Have the answer marked as this visitor's own: it depends on who that is.

        Raises:
            UserNotLoadedError: This is the body of an answer whose headers let caches keep it.
        """
        if loader_of.get() is self:
            return  # whoever has the user loaded says whether the answer depends on that
        if self.unmarked_response is not None:
            self._mark_late(self.unmarked_response)
        self.accessed = True

    def _mark_late(self, response: ResponseTypes) -> None:
        """Mark an answer that is finished already, as for a receiver of `request_finished`."""
        if _body_of.get() is self:
            raise UserNotLoadedError(
                "current_user is asked for in a streamed body, after headers that let caches keep this answer: write "
                "`await current_user` in the view before the stream starts."
            )
        if not self.headers_sent:
            self.unmarked_response = None
            self.mark(response)

    def mark(self, response: ResponseTypes) -> None:
        """Tell caches that this answer is for one visitor only."""
        mark_private(response)
        if self.bearer is not None:
            vary_on(response, "Authorization")

    async def watch(self, body: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        """Give the parts of a streamed body, and know meanwhile that it is one."""
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
        """The id of the login: the bearer token's if there is one; the session's, unless a cookie named another one."""
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
        """The hash of the secret of the remember cookie that this came with, `None` where there is nothing to compare.

        That is the session's, unless a websocket came with the cookie itself.
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
    """Return what the running request or websocket knows about its user, `None` outside of both."""
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
    """Return what the running request or websocket knows, for those who go by it.

    Raises:
        UserNotLoadedError: A lookup that many requests wait for asked.
    """
    state = state_of_request()
    if state is None and is_inside_lookup():
        raise UserNotLoadedError(
            "A lookup of many keys, as in a users_loader, asked for a request's user or login. It serves many "
            "requests, and none of them is current: whatever it needs has to be in the keys."
        )
    return state


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Let `current_user` be this user within a block, in this task and those that it starts."""
    around = state_of_request()
    if around is not None:
        around.accessed = True  # what the request answers depends on that user now
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
    """Know which task serves this request, and on which loop: it may start tasks and threads that ask for the user."""
    state = state_of_request()
    if state is not None:
        state.is_preparing = True
        task: Any = asyncio.current_task()
        _serving.set((ref(task), state))


def end_preparing() -> None:
    """Know that all `before_request` functions have run."""
    serving = _serving.get()
    if serving is not None:
        serving[1].is_preparing = False


def is_outside_its_request() -> bool:
    """Tell whether a request started this task, where there is no request now, as Quart 0.23's background tasks."""
    serving = _serving.get()
    return serving is not None and running_loop() is not None and serving[0]() is not asyncio.current_task()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
