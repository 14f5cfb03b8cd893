"""Device cookies (OWASP): which browsers have signed in to an account before, so that strangers cannot keep them out.

A device cookie is signed. It has an id of the browser and, for each account, a hash of both, bound to the security stamp in
which the browser signed in: after a change of the password it is worth nothing. It opens nothing: it gives the browser
an attempt counter of its own, apart from the strangers'.
"""

import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from secrets import token_urlsafe
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from quart import after_this_request, has_request_context, request

_SALT: Final = "quartlogin known browser"
_LIFETIME: Final = 365 * 24 * 60 * 60  # seconds; browsers keep no cookie much longer
_ID_BYTES: Final = 16
_HASH: Final = 32  # characters of hex
_MOST_ACCOUNTS: Final = 5
_LONGEST: Final = 1024  # characters


class DeviceCookies:
    """Reads and writes the device cookie.

    Args:
        keys: The secret keys, the one that signs last.
        is_secure: Whether the service is only reached over https.
        tell: Called when a cookie is none of ours.
        name: The cookie's name; over https a prefix is put in front.
        path: Below which pages browsers send it.
    """

    def __init__(
        self,
        keys: list[str],
        *,
        is_secure: bool,
        tell: Callable[[], None],
        name: str = "quartlogin_browser",
        path: str = "/",
    ) -> None:
        self._tell = tell
        self._plain_name, self._path = name, path
        self._signer = URLSafeTimedSerializer(
            keys, salt=_SALT, serializer=json, signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
        )
        self._is_secure = is_secure

    def find(self, account: str, security_stamp: int) -> str | None:
        """Return the id of this request's browser if it signed in to this account in this security stamp.

        Args:
            account: Anything that stands for one account, and that nobody can guess.
            security_stamp: The account's; a cookie from before, or after, does not count.
        """
        device, known = self._read()
        if not known and self._cookie():
            self._tell()
        found = known.get(_hash(device, account), "")
        return device if hmac.compare_digest(found, _hash(device, account, security_stamp)) else None

    def set(self, account: str, security_stamp: int) -> None:
        """Have it kept that this request's browser has signed in to this account in this security stamp."""
        device, known = self._read()
        this = _hash(device, account)
        others = {one: then for one, then in known.items() if one != this}
        newest = {this: _hash(device, account, security_stamp), **others}
        self._write(self._signer.dumps([device, dict(islice(newest.items(), _MOST_ACCOUNTS))]), _LIFETIME)

    def delete(self) -> None:
        """Delete the cookie, if it is one of ours: the account is deleted."""
        _, known = self._read()
        if known:
            self._write("", 0)

    def _write(self, value: str, max_age: int) -> None:
        is_secure = self._is_secure or request.is_secure

        @after_this_request
        async def set_cookie(response: Any) -> Any:
            response.set_cookie(
                self._name(), value, max_age=max_age, path=self._path, secure=is_secure, httponly=True, samesite="Lax"
            )
            return response

    def _read(self) -> tuple[str, dict[str, str]]:
        """Return the browser's id, a new one if need be, and for each account that it knows the hash of the security stamp."""
        cookie = self._cookie()
        try:
            payload = self._signer.loads(cookie if len(cookie) <= _LONGEST else "", max_age=_LIFETIME)
        except (BadData, ValueError, RecursionError):
            payload = None
        match payload:
            case [str(device), dict(known)] if device.isascii() and all(
                isinstance(then, str) and then.isascii() for then in known.values()
            ):
                return device, known
        return token_urlsafe(_ID_BYTES), {}

    def _cookie(self) -> str:
        return request.cookies.get(self._name(), "") if has_request_context() else ""

    def _name(self) -> str:
        if not self._is_secure and not request.is_secure:
            return self._plain_name
        return ("__Host-" if self._path == "/" else "__Secure-") + self._plain_name


def _hash(device: str, account: str, security_stamp: int | None = None) -> str:
    text = f"{device}:{account}" if security_stamp is None else f"{device}:{account}:{security_stamp}"
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH]
