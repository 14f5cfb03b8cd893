"""Device cookies (OWASP): they mark browsers that have signed in to an account, so that strangers cannot lock them out.

A device cookie is signed. It contains an id of the browser and, for each account, a hash of both, bound to the security
stamp at the time of the sign-in: after a password change it is worthless. It grants nothing: it gives the browser a
separate attempt counter.
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

_SALT: Final = "quartlogin device cookie"
_LIFETIME: Final = 365 * 24 * 60 * 60  # seconds; browsers keep no cookie much longer
_ID_BYTES: Final = 16
_HASH: Final = 32  # characters of hex
_MAX_ACCOUNTS: Final = 5
_MAX_LENGTH: Final = 1024  # characters


class DeviceCookies:
    """Reads and writes the device cookie.

    Args:
        keys: The secret keys; the last one signs.
        is_secure: Whether the service is reached over https only.
        on_invalid: Called when a cookie is invalid.
        name: The cookie's name; over https a prefix is added.
        path: The path below which browsers send it.
    """

    def __init__(
        self,
        keys: list[str],
        *,
        is_secure: bool,
        on_invalid: Callable[[], None],
        name: str = "quartlogin_browser",
        path: str = "/",
    ) -> None:
        self._on_invalid = on_invalid
        self._plain_name, self._path = name, path
        self._signer = URLSafeTimedSerializer(
            keys, salt=_SALT, serializer=json, signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
        )
        self._is_secure = is_secure

    def find(self, account: str, security_stamp: int) -> str | None:
        """Return the id of this request's browser if it signed in to this account with this security stamp.

        Args:
            account: An unguessable text that stands for one account.
            security_stamp: The account's current one.
        """
        device, known = self._read()
        if not known and self._cookie():
            self._on_invalid()
        found = known.get(_hash(device, account), "")
        return device if hmac.compare_digest(found, _hash(device, account, security_stamp)) else None

    def set(self, account: str, security_stamp: int) -> None:
        """Remember that this request's browser has signed in to this account with this security stamp."""
        device, known = self._read()
        this = _hash(device, account)
        others = {other: proof for other, proof in known.items() if other != this}
        newest = {this: _hash(device, account, security_stamp), **others}
        self._write(self._signer.dumps([device, dict(islice(newest.items(), _MAX_ACCOUNTS))]), _LIFETIME)

    def delete(self) -> None:
        """Delete the cookie, if it is valid, when the account is deleted."""
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
        """Return the browser's id, or a new one, and the hash of each known account with its security stamp."""
        cookie = self._cookie()
        try:
            payload = self._signer.loads(cookie if len(cookie) <= _MAX_LENGTH else "", max_age=_LIFETIME)
        except (BadData, ValueError, RecursionError):
            payload = None
        match payload:
            case [str(device), dict(known)] if device.isascii() and all(
                isinstance(proof, str) and proof.isascii() for proof in known.values()
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
