"""Lazy sessions: the cookie is read, and its signature verified, when the session is first accessed.

`session[...]`, `dict(session)`, `{**session}`, `json.dumps(session)` and every other use of the session itself read it.
What bypasses its methods cannot: `dict.get(session, "key")`, or a library written in C that reads the dictionary. Pass
those `dict(session)`.
"""

from collections.abc import Callable, Sequence
from functools import cache
from threading import RLock
from typing import Any, Final, NamedTuple

from quart.sessions import SecureCookieSession

#: The methods of a dictionary: each of them accesses its contents, so each reads the cookie first.
_METHODS: Final = (
    *("__contains__", "__delitem__", "__eq__", "__getitem__", "__ior__", "__iter__", "__len__", "__ne__", "__or__"),
    *("__reduce_ex__", "__repr__", "__reversed__", "__ror__", "__setitem__", "clear", "copy", "get", "items", "keys"),
    *("pop", "popitem", "setdefault", "update", "values"),
)
#: The contents of an unread session: for a dictionary that is empty in C, `json.dumps` calls no method and writes "{}".
_PLACEHOLDER: Final = ("_quartlogin", "This session has not been read yet: ask it, not `dict`.")
_READER: Final = "_quartlogin_reader"
#: Held while a cookie is read: `def` views run in threads.
_reading: Final = RLock()


class Cookie(NamedTuple):
    """The result of reading a cookie."""

    contents: dict[str, Any]
    #: Whether the response must replace or delete the cookie.
    is_outdated: bool
    #: Called when the session can be accessed, such as log messages.
    complaints: Sequence[Callable[[], None]] = ()


def unread(session_class: type[SecureCookieSession], read: Callable[[], Cookie]) -> SecureCookieSession:
    """Make a session that reads its cookie on first access; from then on it is an ordinary one of this class.

    Args:
        session_class: The class, a dictionary.
        read: Called at most once.
    """
    session = _unread_class(session_class)()
    vars(session)[_READER] = read
    dict.__setitem__(session, *_PLACEHOLDER)
    return session


def is_unread(session: object) -> bool:
    """Tell whether this session was not accessed yet."""
    return _READER in vars(session)


@cache
def _unread_class(session_class: type[SecureCookieSession]) -> type[SecureCookieSession]:
    return type(f"Unread{session_class.__name__}", (session_class,), {name: _reading_first(name) for name in _METHODS})


def _reading_first(name: str) -> Callable[..., Any]:
    def method(session: Any, *args: Any, **kwargs: Any) -> Any:
        _read(session)
        return getattr(session, name)(*args, **kwargs)

    return method


def _read(session: Any) -> None:
    """Load the session and restore its original class."""
    with _reading:
        reader = vars(session).get(_READER)
        if reader is None:  # another thread was faster
            return
        cookie: Cookie = reader()
        dict.clear(session)
        dict.update(session, cookie.contents)
        session.modified = session.modified or cookie.is_outdated
        session.__class__ = type(session).__base__  # last: from here on other threads no longer wait
        del vars(session)[_READER]
    for complain in cookie.complaints:
        complain()
