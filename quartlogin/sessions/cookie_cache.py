"""What a session cookie says, once its signature is verified; that of the browsers that came last is remembered."""

import time
from copy import deepcopy
from functools import lru_cache
from typing import Any, Final, NamedTuple

from itsdangerous import SignatureExpired, URLSafeTimedSerializer

#: Cookies that are remembered for each set of keys: a kilobyte or two each.
_REMEMBERED: Final = 4096
_ANY_AGE: Final = 10**10  # seconds; one from the future is refused all the same
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class VerifiedCookie(NamedTuple):
    """What a cookie with a valid signature says."""

    #: What was signed: a session's contents, unless whoever held the key has signed something else.
    contents: Any
    #: Seconds since 1970.
    signed_at: int
    #: Whether nothing in it can be changed.
    is_flat: bool


class SessionCookies:
    """Reads the cookies of one set of keys.

    A browser sends the same cookie with each request, so what was verified once is not verified again: a cookie, all of
    its text, is looked up among the last ones whose signature was valid. How old it is, is asked every time.

    Args:
        serializer: What signs and verifies them.
    """

    def __init__(self, serializer: URLSafeTimedSerializer) -> None:
        self.serializer = serializer
        self._verify_once = lru_cache(_REMEMBERED)(self._verify)

    def read(self, cookie: str, max_age: int) -> Any:
        """Return what a cookie says: a dictionary to copy from, whose values the caller may change as it likes.

        Args:
            cookie: The text.
            max_age: Seconds since it was signed.

        Raises:
            BadData: The signature or the age is wrong.
            Exception: Whatever a payload that is no session makes the serializer raise.
        """
        contents, signed_at, is_flat = self._verify_once(cookie)
        age = int(time.time()) - signed_at
        if not 0 <= age <= max_age:
            raise SignatureExpired(f"The cookie is {age} seconds old.")
        return contents if is_flat else deepcopy(contents)  # lists and the like are not to be shared

    def _verify(self, cookie: str) -> VerifiedCookie:
        contents, signed_at = self.serializer.loads(cookie, max_age=_ANY_AGE, return_timestamp=True)
        is_flat = type(contents) is dict and _SCALARS.issuperset(map(type, contents.values()))
        return VerifiedCookie(contents, int(signed_at.timestamp()), is_flat)
