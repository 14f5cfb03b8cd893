"""Audit logging for rejected requests, unhandled errors and session anomalies."""

from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final, cast

from quart import Quart, after_this_request, current_app, has_request_context, has_websocket_context, request, websocket
from quart.signals import got_request_exception, got_websocket_exception

from quartlogin import credentials_refused, session_protected, user_needs_refresh, user_unauthorized

from ..context import current_login
from ..database.errors import StoreUnavailable
from .log import AuditLog, client_info, route

_EXTENSION_NAME: Final = "quartlogin.accounts.security_events"
#: Set on a request whose cookie or token was rejected: that the visitor is not signed in follows from it.
_IS_LOGGED: Final = "_quartlogin_rejection_is_logged"
_MAX_LOGINS: Final = 10_000
_MAX_CLIENTS: Final = 10  # of one login: clients choose their user agent, so each request could have another one


def install(app: Quart, audit_log: AuditLog) -> None:
    """Connect the audit log to the signals of the app and of the extension."""
    rejections, anomalies = _Rejections(audit_log), SessionAnomalies(audit_log)
    app.extensions[_EXTENSION_NAME] = rejections, anomalies  # a signal does not keep its receivers
    user_unauthorized.connect(rejections.unauthorized, app)
    user_needs_refresh.connect(rejections.reauthentication_required, app)
    credentials_refused.connect(rejections.credentials_refused, app)
    got_request_exception.connect(rejections.unexpected_error, app)
    got_websocket_exception.connect(rejections.unexpected_error, app)
    session_protected.connect(anomalies.session_protected, app)


def session_refused() -> None:
    """Log that the session cookie of the current request was rejected."""
    rejections, _ = current_app.extensions[_EXTENSION_NAME]
    rejections.log_first("session_refused")


class RouteLoggingQuart(Quart):
    """A Quart whose log of an unhandled error names the route, not the URL, which could contain line breaks."""

    def log_exception(self, *arguments: Any, **_: Any) -> None:
        """Log an unhandled error with its traceback.

        Args:
            arguments: The last one is the value of `sys.exc_info()`; Quart 0.23 passes its context before it.
        """
        self.logger.error("Unhandled error in %s", route(), exc_info=arguments[-1])


class _Rejections:
    """Logs one record for each rejected request, of its first cause."""

    def __init__(self, audit_log: AuditLog) -> None:
        self._audit_log = audit_log

    async def credentials_refused(self, _: Quart, kind: str) -> None:
        self.log_first(f"{kind}_refused")

    async def unauthorized(self, _: Quart) -> None:
        self.log_first("access_denied")

    async def reauthentication_required(self, _: Quart) -> None:
        self._audit_log.warn("reauthentication_required")

    async def unexpected_error(self, _: Quart, exception: Exception) -> None:
        self._audit_log.warn("unexpected_error", error=type(exception).__name__)

    def log_first(self, kind: str) -> None:
        attributes = vars(_connection())
        if _IS_LOGGED not in attributes:
            attributes[_IS_LOGGED] = True
            self._audit_log.warn(kind)


class SessionAnomalies:
    """Logs when a login is used from a different browser or address.

    That is a signal, not proof, since phones change their address all day (OWASP Session Management Cheat Sheet). So
    the login continues; the extension's session protection asks for the password again before sensitive actions. Each
    of the first ten other clients of a login is logged once, or the log would fill with its requests.
    """

    def __init__(self, audit_log: AuditLog) -> None:
        self._audit_log = audit_log
        #: The clients that were logged, by the login's public id.
        self._logged: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()

    async def session_protected(self, _: Quart) -> None:
        """Log it after the request, if the login is active by then."""
        if has_request_context():
            after_this_request(self._log)

    async def _log(self, response: Any) -> Any:
        with suppress(StoreUnavailable):
            login = await current_login()
            if login is not None and self._is_new(login.public_id):
                self._audit_log.emit(self._audit_log.event("login_context_changed", login.user_id, login.public_id))
        return response

    def _is_new(self, public_id: str) -> bool:
        client, clients = client_info(), self._logged.setdefault(public_id, set())
        self._logged.move_to_end(public_id)
        if len(self._logged) > _MAX_LOGINS:
            self._logged.popitem(last=False)
        if client in clients or len(clients) >= _MAX_CLIENTS:
            return False
        clients.add(client)
        return True


def _connection() -> Any:
    return cast(Any, websocket if has_websocket_context() else request)._get_current_object()
