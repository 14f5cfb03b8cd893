"""A cache of verified session cookies, for the browsers that came last."""

import time
from copy import deepcopy
from functools import lru_cache
from typing import Any, Final, NamedTuple

from itsdangerous import SignatureExpired, URLSafeTimedSerializer

#: Cached cookies for each set of keys: one or two kilobytes each.
_REMEMBERED: Final = 4096
_ANY_AGE: Final = 10**10  # seconds; one from the future is rejected all the same
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class VerifiedCookie(NamedTuple):
    """The contents of a cookie with a valid signature."""

    #: What was signed: a session's contents, unless the key was used for something else.
    contents: Any
    #: Seconds since 1970.
    signed_at: int
    #: Whether its values are immutable.
    is_flat: bool


class SessionCookies:
    """Reads the cookies of one set of keys.

    A browser sends the same cookie with each request, so a cookie is verified once: its whole text is looked up among
    the last ones with a valid signature. Its age is checked every time.

    Args:
        serializer: Signs and verifies them.
    """

    def __init__(self, serializer: URLSafeTimedSerializer) -> None:
        self.serializer = serializer
        self._verify_once = lru_cache(_REMEMBERED)(self._verify)

    def read(self, cookie: str, max_age: int) -> Any:
        """Return a cookie's contents: a dictionary to copy from, whose values the caller may change.

        Args:
            cookie: The text.
            max_age: Seconds since it was signed.

        Raises:
            BadData: The signature or the age is wrong.
            Exception: Whatever the serializer raises for a payload that is no session.
        """
        contents, signed_at, is_flat = self._verify_once(cookie)
        age = int(time.time()) - signed_at
        if not 0 <= age <= max_age:
            raise SignatureExpired(f"The cookie is {age} seconds old.")
        return contents if is_flat else deepcopy(contents)  # lists and the like must not be shared

    def _verify(self, cookie: str) -> VerifiedCookie:
        contents, signed_at = self.serializer.loads(cookie, max_age=_ANY_AGE, return_timestamp=True)
        is_flat = type(contents) is dict and _SCALARS.issuperset(map(type, contents.values()))
        return VerifiedCookie(contents, int(signed_at.timestamp()), is_flat)
