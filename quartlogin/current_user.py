"""The current user and login of a request, for the app's code.

Unlike Werkzeug's `LocalProxy`, which returns `False` for `==` and `in` when its lookup fails, an early read of the
proxy raises `UserNotLoadedError` whatever the operation, since each of them is a method that checks first.
"""

import asyncio
import copy
import inspect
import math
import operator
import os
import sys
from abc import ABCMeta
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any, Final, Generic, NamedTuple, TypeGuard, TypeVar

from .context import current_manager
from .records import FreshnessRecords
from .request_state import state_of_asker, state_of_request
from .request_user import resolved_user, user_of_request
from .sessions import login_session
from .user import AnonymousUserMixin, UserT, require_bool


def _on_user(operation: Callable[..., Any]) -> Any:
    """Make a method that applies an operation to the user instead of the proxy."""

    def method(_proxy: object, *args: Any, **kwargs: Any) -> Any:
        return operation(resolved_user(), *args, **kwargs)

    return method


def _reflected(operation: Callable[[Any, Any], Any]) -> Any:
    """Make the method for an operator whose right-hand side is the proxy."""
    return _on_user(lambda user, left: operation(left, user))


#: What `asyncio.gather`, `wait_for` and `ensure_future` call to find out whether they can await an object.
_ASKED_BEFORE_AWAITING: Final = frozenset(
    function.__code__ for function in (asyncio.isfuture, asyncio.iscoroutine, inspect.isawaitable)
)


def _is_about_to_be_awaited(asking: FrameType | None) -> bool:
    """Tell whether the class is requested only to find out whether the proxy can be awaited.

    It can, for any user; but these functions read its class, as `isinstance(current_user, User)` does, which
    must raise before the user is loaded. Only the calling frame tells them apart.
    """
    if asking is not None and asking.f_code is ABCMeta.__instancecheck__.__code__:
        asking = asking.f_back
    return asking is not None and asking.f_code in _ASKED_BEFORE_AWAITING


def _is_among_awaitables(asking: FrameType) -> bool:
    """Tell whether `asyncio.gather` or `as_completed` requests the hash, to find duplicate awaitables."""
    return asking.f_globals is vars(asyncio.tasks)


UserT_co = TypeVar("UserT_co", covariant=True)


class CurrentUser(Generic[UserT_co]):
    """The proxy behind `current_user`. It has no state, so all instances are equivalent."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, UserT_co]:
        return user_of_request().__await__()

    def _get_current_object(self) -> Any:
        """Return the real user object, under the name that Werkzeug's proxies use."""
        return resolved_user()

    @property  # type: ignore[misc]  # read-only here: the class of a proxy is never set
    def __class__(self) -> Any:  # pyright: ignore  # isinstance(current_user, User) reads it
        return CurrentUser if _is_about_to_be_awaited(sys._getframe(1)) else type(resolved_user())

    @property
    def __dict__(self) -> Any:  # type: ignore[override]  # vars(current_user)
        return vars(resolved_user())

    @property
    def __doc__(self) -> Any:  # type: ignore[override]  # the user's own
        return resolved_user().__doc__

    def __getattr__(self, name: str) -> Any:
        return getattr(resolved_user(), name)

    __setattr__ = _on_user(setattr)
    __delattr__ = _on_user(delattr)
    __dir__ = _on_user(dir)

    __repr__ = _on_user(repr)
    __str__ = _on_user(str)
    __bytes__ = _on_user(bytes)
    __fspath__ = _on_user(os.fspath)
    __format__ = _on_user(format)
    __bool__ = _on_user(bool)

    def __hash__(self) -> int:
        return object.__hash__(self) if _is_among_awaitables(sys._getframe(1)) else hash(resolved_user())

    __call__ = _on_user(operator.call)
    __copy__ = _on_user(copy.copy)
    __deepcopy__ = _on_user(copy.deepcopy)
    __reduce_ex__ = _on_user(lambda user, protocol: user.__reduce_ex__(protocol))

    __eq__ = _on_user(operator.eq)
    __ne__ = _on_user(operator.ne)
    __lt__ = _on_user(operator.lt)
    __le__ = _on_user(operator.le)
    __gt__ = _on_user(operator.gt)
    __ge__ = _on_user(operator.ge)

    __len__ = _on_user(len)
    __length_hint__ = _on_user(operator.length_hint)
    __getitem__ = _on_user(operator.getitem)
    __setitem__ = _on_user(operator.setitem)
    __delitem__ = _on_user(operator.delitem)
    __iter__ = _on_user(iter)
    __next__ = _on_user(next)
    __reversed__ = _on_user(reversed)
    __contains__ = _on_user(operator.contains)

    __enter__ = _on_user(lambda user: user.__enter__())
    __exit__ = _on_user(lambda user, *error: user.__exit__(*error))
    __aenter__ = _on_user(lambda user: user.__aenter__())
    __aexit__ = _on_user(lambda user, *error: user.__aexit__(*error))
    __aiter__ = _on_user(aiter)
    __anext__ = _on_user(anext)

    __neg__ = _on_user(operator.neg)
    __pos__ = _on_user(operator.pos)
    __abs__ = _on_user(abs)
    __invert__ = _on_user(operator.invert)
    __int__ = _on_user(int)
    __float__ = _on_user(float)
    __complex__ = _on_user(complex)
    __index__ = _on_user(operator.index)
    __round__ = _on_user(round)
    __trunc__ = _on_user(math.trunc)
    __floor__ = _on_user(math.floor)
    __ceil__ = _on_user(math.ceil)

    __add__ = _on_user(operator.add)
    __sub__ = _on_user(operator.sub)
    __mul__ = _on_user(operator.mul)
    __matmul__ = _on_user(operator.matmul)
    __truediv__ = _on_user(operator.truediv)
    __floordiv__ = _on_user(operator.floordiv)
    __mod__ = _on_user(operator.mod)
    __divmod__ = _on_user(divmod)
    __pow__ = _on_user(pow)
    __lshift__ = _on_user(operator.lshift)
    __rshift__ = _on_user(operator.rshift)
    __and__ = _on_user(operator.and_)
    __or__ = _on_user(operator.or_)
    __xor__ = _on_user(operator.xor)

    __radd__ = _reflected(operator.add)
    __rsub__ = _reflected(operator.sub)
    __rmul__ = _reflected(operator.mul)
    __rmatmul__ = _reflected(operator.matmul)
    __rtruediv__ = _reflected(operator.truediv)
    __rfloordiv__ = _reflected(operator.floordiv)
    __rmod__ = _reflected(operator.mod)
    __rdivmod__ = _reflected(divmod)
    __rpow__ = _reflected(pow)
    __rlshift__ = _reflected(operator.lshift)
    __rrshift__ = _reflected(operator.rshift)
    __rand__ = _reflected(operator.and_)
    __ror__ = _reflected(operator.or_)
    __rxor__ = _reflected(operator.xor)


#: The user who sent the current request. `await current_user` always works and returns the real user object; plain
#: attributes work once it is loaded; templates load it when they first name it.
current_user: CurrentUser[Any] = CurrentUser()


def unwrap(user: Any) -> Any:
    """Return the real user object, also when this is `current_user` itself."""
    return resolved_user() if type(user) is CurrentUser else user


def is_signed_in(user: UserT | AnonymousUserMixin | None) -> TypeGuard[UserT]:
    """Tell whether this is a signed-in user, in a way that type checkers understand."""
    known: Any = unwrap(user)
    return known is not None and require_bool(known, "is_authenticated")


def login_id() -> str | None:
    """Return the id of the login that this request belongs to, `None` for an anonymous visitor.

    It is new at every login and unguessable (192 bits), so an app that stores its logins in a database can look it up
    in its `user_loader` and reject those that have ended. A bearer token has its own login id.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.login_id


def login_secret_hash() -> str | None:
    """Return the SHA-256 of the secret of the remember cookie that this session came with, in hex.

    An app whose `LoginRecords` renew secrets can reject the sessions of former ones in its `user_loader`: then only one
    of two browsers with copies of one cookie continues. A websocket that a remember cookie has opened keeps that cookie
    each time its user is looked up again. `None` if there is nothing to compare: without a remember cookie, with a
    bearer token, and while a remember cookie itself is checked.
    """
    state = state_of_asker()
    if state is None:
        return None
    state.access()
    return state.secret_hash


def login_fresh() -> bool:
    """Tell whether the password was entered in this session, rather than the login restored from a remember cookie.

    Raises:
        UserNotLoadedError: The app's `FreshnessRecords` decide, and the user is not loaded yet.
    """
    return freshness().is_fresh


class Freshness(NamedTuple):
    """Whether a login is fresh, and since when."""

    is_fresh: bool
    #: Seconds since 1970; `None`: not known.
    since: int | None = None


def freshness() -> Freshness:
    """Return whether the login of this request is fresh, and since when.

    What this request itself has changed counts at once: it has written session and records.

    Raises:
        UserNotLoadedError: As for `login_fresh`.
    """
    state = state_of_asker()
    if state is None:
        return Freshness(False)
    state.access()
    if state.fresh or (state.fresh is None and state.uses_cookies and login_session.is_fresh()):
        records = current_manager().records
        if state.fresh is None and isinstance(records, FreshnessRecords):
            resolved_user()  # loading may show that it is another browser
            since = records.fresh_since()
            return Freshness(since is not None and state.fresh is not False, since)
        return Freshness(True, login_session.fresh_at())
    return Freshness(False)


def uses_cookies() -> bool:
    """Tell whether this request's cookies may identify its sender, so that its forms need CSRF protection.

    They do not beside a bearer token from `create_bearer_token`, nor beside any other that an API client sends: no page
    of another site can make a browser send those. A gateway may add a token to every request, so beside a token that is
    not ours a browser's cookies are checked.
    """
    state = state_of_request()
    return state is not None and state.uses_cookies
