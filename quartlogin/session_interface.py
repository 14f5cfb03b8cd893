"""A session cookie that is signed with SHA-256, for apps that ask for it: `app.session_interface = ...`.

Quart's own interface signs with SHA-1, which ASVS 5.0 (11.4.1) no longer approves, and answers 500 to a cookie
that is correctly signed but malformed inside.
"""

import hashlib
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from quart import Quart, Response, has_websocket_context, request
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.wrappers import Response as WerkzeugResponse

from .caching import mark_private
from .config import former_keys
from .connection import current_connection
from .unpacking import SparingSerializer

_HOST_PREFIX: Final = "__Host-"
_LONGEST_COOKIE: Final = 4096  # characters; no browser keeps a longer one (RFC 6265bis, 5.6)


class SignedSessionInterface(SecureCookieSessionInterface):
    """Keeps the session in a cookie signed with HMAC-SHA-256.

    - Whatever is wrong with a cookie (tampered, expired, of another app, malformed inside), the session is empty.
    - Over https, or with `SESSION_COOKIE_SECURE`, the cookie is `Secure` and its name starts with `__Host-`, so
      that no other host and no plain connection can set it (RFC 6265bis, 4.1.3).
    - So it is if the cookie has more than 4096 characters, which no browser keeps, or unpacks to more than 64 KiB.
    - `SECRET_KEY_FALLBACKS` are read, never written.
    - Signers are made once for a set of keys, not for each request.

    Args:
        audience: Keeps the cookies of apps that share a secret key apart (ASVS 5.0 9.2.4); the app's name if `None`.
        read_flask_cookie: Whether the cookie of Flask's or Quart's own interface under the same key is read, too. It is
            replaced by one of ours in the same answer.
    """

    digest_method = staticmethod(hashlib.sha256)

    def __init__(self, audience: str | None = None, *, read_flask_cookie: bool = False) -> None:
        self._audience = audience
        self._reads_flask_cookie = read_flask_cookie
        self._serializers: dict[tuple[Any, ...], URLSafeTimedSerializer] = {}

    def get_signing_serializer(self, app: Quart) -> URLSafeTimedSerializer | None:
        """Return the signer for the app's present keys, `None` if it has no secret key."""
        if not app.secret_key:
            return None
        keys: tuple[Any, ...] = (*former_keys(app), app.secret_key)  # itsdangerous signs with the last
        salt = f"quartlogin session of {self._audience or app.name}"
        serializer = self._serializers.get((salt, keys))
        if serializer is None:
            serializer = self._serializers[salt, keys] = SparingSerializer(
                list(keys),
                salt=salt,
                serializer=self.serializer,
                signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
            )
        return serializer

    def get_cookie_secure(self, app: Quart) -> bool:
        """Tell whether the cookie is `Secure`: as configured, and always over https."""
        return super().get_cookie_secure(app) or bool(current_connection().is_secure)

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
        """Read the session from the request's cookie; empty if there is anything wrong with it.

        A cookie that is broken or expired is deleted by the answer; one of Flask's is replaced by it.
        """
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        cookie = request.cookies.get(self.get_cookie_name(app))
        contents = None if cookie is None else self._read(app, serializer, cookie)
        is_own = contents is not None
        if contents is None and self._reads_flask_cookie:
            contents = self._read_flask_cookie(app, request)
        session = self.session_class(contents or {})
        has_answer = not has_websocket_context()
        session.modified = has_answer and not is_own and (cookie is not None or contents is not None)
        return session

    async def save_session(
        self, app: Quart, session: SessionMixin, response: Response | WerkzeugResponse | None
    ) -> None:
        """Write the session to the response's cookie if it has changed; then no shared cache may keep the response."""
        await super().save_session(app, session, response)
        if response is None or "Set-Cookie" not in response.headers:
            return
        plain = super().get_cookie_name(app)
        if self._reads_flask_cookie and plain != self.get_cookie_name(app) and plain in request.cookies:
            response.delete_cookie(plain, path=self.get_cookie_path(app), domain=self.get_cookie_domain(app))
        mark_private(response)

    def _read_flask_cookie(self, app: Quart, request: BaseRequestWebsocket) -> dict[str, Any] | None:
        cookie = request.cookies.get(super().get_cookie_name(app))
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        return None if cookie is None or serializer is None else self._read(app, serializer, cookie)

    @staticmethod
    def _read(app: Quart, serializer: URLSafeTimedSerializer, cookie: str) -> dict[str, Any] | None:
        if len(cookie) > _LONGEST_COOKIE or not _is_canonical(cookie):
            return None
        try:
            contents = serializer.loads(cookie, max_age=int(app.permanent_session_lifetime.total_seconds()))
        except BadData:
            return None
        except Exception as error:  # whatever a payload that is no session makes the JSON tags raise
            contents = error
        if isinstance(contents, dict):
            return contents
        # Whoever holds the key wrote it, so it is worth a line in the log.
        app.logger.warning("A session cookie with a valid signature has a malformed payload: %r", contents)
        return None


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
