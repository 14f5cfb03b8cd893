"""`SignedSessionInterface`: session cookies signed with SHA-256, for `app.session_interface`.

Quart's own interface signs with SHA-1, which ASVS 5.0 (11.4.1) no longer approves, and answers 500 to a cookie that is
correctly signed but malformed inside.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from itsdangerous import BadData, BadSignature, SignatureExpired, URLSafeTimedSerializer
from quart import Quart, Response
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from quart.wrappers import Websocket
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.wrappers import Response as WerkzeugResponse

from .. import tracing
from ..cache_headers import mark_private, vary_on
from ..config import fallback_keys, session_lifetime
from ..context import current_connection
from .cookie_cache import SessionCookies
from .inspection import LONGEST_COOKIE, inspect, tell_session_cookie
from .lazy import Cookie, is_unread, unread
from .login_session import text_of
from .serializer import SizeLimitedSerializer

_FLASHES: Final = "_flashes"
_PAIR: Final = 2  # a category and a message
_HOST_PREFIX: Final = "__Host-"


class SignedSessionInterface(SecureCookieSessionInterface):
    """Keeps the session in a cookie signed with HMAC-SHA-256.

    - Whatever is wrong with a cookie (tampered, expired, another app's, malformed inside), the session is empty.
    - Over https, or with `SESSION_COOKIE_SECURE`, the cookie is `Secure` and its name starts with `__Host-`, so that no
      other host and no plain connection can set it (RFC 6265bis, 4.1.3).
    - An expired cookie is deleted; one that this interface has not signed is left alone, since it belongs to another
      app on this host.
    - The session is also empty if the cookie exceeds 4096 characters, which no browser keeps, or 64 KiB unpacked.
    - `SECRET_KEY_FALLBACKS` are read, never written.
    - A cookie is read when the session is first accessed: a page that ignores it costs nothing, and its cache headers
      do not mention it. A permanent session is extended by each response that accessed it.
    - Signers are made once for a set of keys, and a verified cookie is not verified again for the same text.

    Args:
        audience: Separates the cookies of apps that share a secret key (ASVS 5.0 9.2.4); the app's name if `None`.
        read_flask_cookie: Whether the cookie of Flask's or Quart's own interface under the same key is read, too. The
            same response replaces it.
        on_refused: Called when the session of a request with an invalid cookie is accessed: one that is not ours, or
            has expired.
    """

    digest_method = staticmethod(hashlib.sha256)

    def __init__(
        self,
        audience: str | None = None,
        *,
        read_flask_cookie: bool = False,
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self.audience = audience
        self._on_refused = on_refused
        self._reads_flask_cookie = read_flask_cookie
        self._cookies: dict[tuple[Any, ...], SessionCookies] = {}

    def get_signing_serializer(self, app: Quart) -> URLSafeTimedSerializer | None:
        """Return the signer for the app's current keys, `None` if it has no secret key."""
        return self._cookies_of(app).serializer if app.secret_key else None

    def get_cookie_secure(self, app: Quart) -> bool:
        """Tell whether the cookie is `Secure`: as configured, and always over https."""
        return super().get_cookie_secure(app) or bool(current_connection().is_secure)

    def get_cookie_samesite(self, app: Quart) -> str:
        """Return the cookie's `SameSite`: as configured, `Lax` without."""
        return super().get_cookie_samesite(app) or "Lax"

    def get_cookie_name(self, app: Quart) -> str:
        """Return the cookie's name, with the `__Host-` prefix wherever browsers accept it."""
        name = super().get_cookie_name(app)
        prefixable = self.get_cookie_path(app) == "/" and not self.get_cookie_domain(app)
        if prefixable and self.get_cookie_secure(app) and not name.startswith(_HOST_PREFIX):
            return _HOST_PREFIX + name
        return name

    async def open_session(self, app: Quart, request: BaseRequestWebsocket) -> SecureCookieSession | None:
        """Return the session of the request's cookie, which is read when the session is first accessed.

        It is empty if anything is wrong with the cookie. The response deletes an expired cookie of ours, and replaces
        one of Flask's.
        """
        if not app.secret_key:
            return None
        context, has_answer = copy_context(), not isinstance(request, Websocket)

        def read() -> Cookie:
            # In this context, wherever it is accessed: the cookie's name depends on the request's scheme.
            return context.run(self._open, app, request, has_answer)

        return unread(self.session_class, read)

    async def save_session(
        self, app: Quart, session: SessionMixin, response: Response | WerkzeugResponse | None
    ) -> None:
        """Write the session to the response's cookie if it has changed; then no shared cache may keep the response.

        The response is left as it is if the session was not accessed.
        """
        if response is not None and (is_unread(session) and not session.modified):
            return
        if response is not None and session and not self.should_set_cookie(app, session):
            vary_on(response, "Cookie")
            return
        if response is not None and not session and self._is_foreign(app, current_connection()):
            return  # there is nothing to delete: Quart would delete another app's
        await super().save_session(app, session, response)
        if response is None or "Set-Cookie" not in response.headers:
            return
        plain = super().get_cookie_name(app)
        has_own_name = plain != self.get_cookie_name(app)
        if self._reads_flask_cookie and has_own_name and self._read_flask_cookie(app, current_connection()) is not None:
            response.delete_cookie(plain, path=self.get_cookie_path(app), domain=self.get_cookie_domain(app))
        mark_private(response)

    def _open(self, app: Quart, request: BaseRequestWebsocket, has_answer: bool) -> Cookie:
        """Read the request's cookie: ours, or Flask's."""
        text = request.cookies.get(self.get_cookie_name(app))
        if tracing.listeners:
            self._tell_cookie(app, request, text)
        found = _NOTHING if text is None else _read(app, self._cookies_of(app), text)
        if found.contents is not None:
            return Cookie(_with_sound_flashes(found.contents), is_outdated=False)
        contents = self._read_flask_cookie(app, request) if self._reads_flask_cookie else None
        complaints = [*found.complaints]
        if text is not None and contents is None and self._on_refused is not None:
            complaints.append(self._on_refused)
        is_outdated = has_answer and (found.is_ours or contents is not None)
        return Cookie(_with_sound_flashes(contents or {}), is_outdated, complaints)

    @tracing.harmless
    def _tell_cookie(self, app: Quart, request: BaseRequestWebsocket, text: str | None) -> None:
        facts = inspect(self._cookies_of(app).serializer, text, session_lifetime(app))
        if facts.outcome in {"none", "bad signature"} and self._read_flask_cookie(app, request) is not None:
            facts = replace(facts, outcome="other interface")
        tell_session_cookie(self.get_cookie_name(app), facts)

    def _is_foreign(self, app: Quart, request: Any) -> bool:
        """Tell whether the request has a cookie of our name that we have not signed."""
        text = request.cookies.get(self.get_cookie_name(app))
        if text is None or _read(app, self._cookies_of(app), text).is_ours:
            return False
        return not self._reads_flask_cookie or self._read_flask_cookie(app, request) is None

    def _cookies_of(self, app: Quart) -> SessionCookies:
        keys: tuple[Any, ...] = (*fallback_keys(app), app.secret_key)  # itsdangerous signs with the last
        audience = self.audience or app.name
        cookies = self._cookies.get((audience, keys))
        if cookies is None:
            serializer = SizeLimitedSerializer(
                list(keys),
                salt=f"quartlogin session of {audience}",
                serializer=self.serializer,
                signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
            )
            cookies = self._cookies[audience, keys] = SessionCookies(serializer)
        return cookies

    def _read_flask_cookie(self, app: Quart, request: Any) -> dict[str, Any] | None:
        cookie = request.cookies.get(super().get_cookie_name(app))
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        return None if cookie is None or serializer is None else _read(app, SessionCookies(serializer), cookie).contents


def _with_sound_flashes(contents: dict[str, Any]) -> dict[str, Any]:
    """Remove malformed flashed messages: Quart expects pairs, and could render no page with others."""
    if _FLASHES not in contents:
        return contents
    kept = contents[_FLASHES] if isinstance(contents[_FLASHES], list) else []
    return {**contents, _FLASHES: [one for one in kept if _is_flash(one)]}


def _is_flash(one: Any) -> bool:
    if not isinstance(one, list | tuple) or len(one) != _PAIR:
        return False
    return all(not isinstance(part, str) or text_of(part) is not None for part in one)


class _Found(NamedTuple):
    """The result of reading a cookie."""

    #: Its contents, `None` if anything is wrong with it.
    contents: dict[str, Any] | None
    #: Whether its signature is ours; it may have expired since.
    is_ours: bool
    #: Logs what is wrong with it.
    complaints: Sequence[Callable[[], None]] = ()


_NOTHING: Final = _Found(None, is_ours=False)


def _read(app: Quart, cookies: SessionCookies, cookie: str) -> _Found:
    if len(cookie) > LONGEST_COOKIE:
        return _NOTHING
    try:
        contents = cookies.read(cookie, session_lifetime(app))
    except SignatureExpired:
        return _Found(None, is_ours=True)
    except BadSignature:
        return _NOTHING
    except BadData:
        return _Found(None, is_ours=True)
    except Exception as error:  # whatever the JSON tags raise for a payload that is no session
        contents = error
    if isinstance(contents, dict):
        return _Found(contents, is_ours=True)
    # It was signed with the key, so it is worth a line in the log.
    complaint = "A session cookie with a valid signature has a malformed payload: %r"
    return _Found(None, is_ours=True, complaints=[partial(app.logger.warning, complaint, contents)])
