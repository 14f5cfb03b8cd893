"""Which browsers have signed in to an account before: those that a stranger's guesses must not keep out.

A browser keeps a signed cookie with an id and, for each account, a hash of both (OWASP calls it a device cookie). It
opens nothing: it gives the browser a tally of its own failures, apart from the account's.
"""

import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from quart import after_this_request, has_request_context, request

_NAME: Final = "quartlogin_browser"
_SALT: Final = "quartlogin known browser"
_LIFETIME: Final = 365 * 24 * 60 * 60  # seconds; browsers keep no cookie much longer
_ID_BYTES: Final = 16
_HASH: Final = 32  # characters of hex
_MOST_ACCOUNTS: Final = 5
_LONGEST: Final = 1024  # characters


class KnownBrowsers:
    """Reads and writes the cookie.

    Args:
        keys: The secret keys, the one that signs last.
        is_secure: Whether the service is only reached over https.
        tell: Called when a cookie is none of ours.
    """

    def __init__(self, keys: list[str], *, is_secure: bool, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._signer = URLSafeTimedSerializer(
            keys, salt=_SALT, serializer=json, signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
        )
        self._is_secure = is_secure

    def browser_that_knows(self, account: str) -> str | None:
        """Return the id of this request's browser if it signed in to this account before.

        Args:
            account: Anything that stands for one account, and that nobody can guess.
        """
        browser, known = self._read()
        if not known and self._cookie():
            self._tell()
        return browser if any(hmac.compare_digest(one, _hash(browser, account)) for one in known) else None

    def remember(self, account: str) -> None:
        """Have it kept that this request's browser has signed in to this account."""
        browser, known = self._read()
        this = _hash(browser, account)
        kept = [browser, this, *(one for one in known if one != this)][: 1 + _MOST_ACCOUNTS]
        self._set(self._signer.dumps(kept), _LIFETIME)

    def forget(self) -> None:
        """Delete the cookie: the account is deleted."""
        self._set("", 0)

    def _set(self, value: str, max_age: int) -> None:
        is_secure = self._is_secure or request.is_secure

        @after_this_request
        async def set_cookie(response: Any) -> Any:
            response.set_cookie(
                self._name(), value, max_age=max_age, path="/", secure=is_secure, httponly=True, samesite="Lax"
            )
            return response

    def _read(self) -> tuple[str, list[str]]:
        """Return the browser's id, a new one if need be, and the hashes of the accounts that it knows."""
        cookie = self._cookie()
        try:
            payload = self._signer.loads(cookie if len(cookie) <= _LONGEST else "", max_age=_LIFETIME)
        except (BadData, ValueError, RecursionError):
            payload = None
        match payload:
            case [str(browser), *known] if all(isinstance(one, str) and one.isascii() for one in known):
                return browser, known
        return token_urlsafe(_ID_BYTES), []

    def _cookie(self) -> str:
        return request.cookies.get(self._name(), "") if has_request_context() else ""

    def _name(self) -> str:
        return f"__Host-{_NAME}" if self._is_secure or request.is_secure else _NAME


def _hash(browser: str, account: str) -> str:
    return sha256(f"{browser}:{account}".encode()).hexdigest()[:_HASH]
