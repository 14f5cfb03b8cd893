"""A session cookie that is signed with SHA-256, for apps that ask for it: `app.session_interface = ...`.

Quart's own interface signs with SHA-1, which ASVS 5.0 (11.4.1) no longer approves, and answers 500 to a cookie
that is correctly signed but malformed inside.
"""

import hashlib
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from quart import Quart, has_websocket_context, request, websocket
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface
from quart.wrappers.base import BaseRequestWebsocket

from .errors import ConfigurationError

_HOST_PREFIX: Final = "__Host-"


class SignedSessionInterface(SecureCookieSessionInterface):
    """Keeps the session in a cookie signed with HMAC-SHA-256.

    - Whatever is wrong with a cookie (tampered, expired, of another app, malformed inside), the session is empty.
    - Over https, or with `SESSION_COOKIE_SECURE`, the cookie is `Secure` and its name starts with `__Host-`, so
      that no other host and no plain connection can set it (RFC 6265bis, 4.1.3).
    - `SECRET_KEY_FALLBACKS` are read, never written.
    - Signers are made once for a set of keys, not for each request.

    Args:
        audience: Keeps the cookies of apps that share a secret key apart (ASVS 5.0 9.2.4); the app's name if `None`.
    """

    digest_method = staticmethod(hashlib.sha256)

    def __init__(self, audience: str | None = None) -> None:
        self._audience = audience
        self._serializers: dict[tuple[Any, ...], URLSafeTimedSerializer] = {}

    def get_signing_serializer(self, app: Quart) -> URLSafeTimedSerializer | None:
        """Return the signer for the app's present keys, `None` if it has no secret key."""
        if not app.secret_key:
            return None
        fallbacks = app.config["SECRET_KEY_FALLBACKS"] or []
        if isinstance(fallbacks, str | bytes):
            raise ConfigurationError("SECRET_KEY_FALLBACKS is a list of keys: write ['the old key'].")
        keys: tuple[Any, ...] = (*fallbacks, app.secret_key)  # itsdangerous signs with the last
        salt = f"quartlogin session of {self._audience or app.name}"
        serializer = self._serializers.get((salt, keys))
        if serializer is None:
            serializer = self._serializers[salt, keys] = URLSafeTimedSerializer(
                list(keys),
                salt=salt,
                serializer=self.serializer,
                signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
            )
        return serializer

    def get_cookie_secure(self, app: Quart) -> bool:
        """Tell whether the cookie is `Secure`: as configured, and always over https."""
        return super().get_cookie_secure(app) or _current().is_secure

    def get_cookie_samesite(self, app: Quart) -> str:
        """Return the cookie's `SameSite`: as configured, `Lax` without."""
        return super().get_cookie_samesite(app) or "Lax"

    def get_cookie_name(self, app: Quart) -> str:
        """Return the cookie's name, with `__Host-` in front wherever browsers take it."""
        name = super().get_cookie_name(app)
        prefixable = self.get_cookie_path(app) == "/" and not self.get_cookie_domain(app)
        if prefixable and self.get_cookie_secure(app) and not name.startswith(_HOST_PREFIX):
            return _HOST_PREFIX + name
        return name

    async def open_session(self, app: Quart, request: BaseRequestWebsocket) -> SecureCookieSession | None:
        """Read the session from the request's cookie; empty if there is anything wrong with it."""
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        cookie = request.cookies.get(self.get_cookie_name(app))
        if cookie is None or not _is_canonical(cookie):
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            contents = serializer.loads(cookie, max_age=max_age)
            if not isinstance(contents, dict):
                raise TypeError(f"The payload is a {type(contents).__name__}.")  # noqa: TRY301 -- logged below
            return self.session_class(contents)
        except BadData:
            return self.session_class()
        except Exception:
            # Correctly signed, yet no session: the JSON tags, the nesting or the type is off. Whoever holds the
            # key wrote it, so it is worth a line in the log.
            app.logger.warning("A session cookie with a valid signature has a malformed payload.", exc_info=True)
            return self.session_class()


def _is_canonical(cookie: str) -> bool:
    """Tell whether the signature is spelled the one way that it was written.

    The signature covers the rest of the cookie as text, but itself is compared after decoding, and base64 decodes
    several spellings to the same bytes.
    """
    signature = cookie.rpartition(".")[2]
    try:
        return base64_encode(base64_decode(signature)).decode("ascii") == signature
    except BadData:
        return False


def _current() -> Any:
    return websocket if has_websocket_context() else request
