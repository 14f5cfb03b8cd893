"""What the operator is told of that no view has a hand in: who was refused, and what broke."""

from typing import Any, Final, cast

from quart import Quart, current_app, has_websocket_context, request, websocket
from quart.signals import got_request_exception, got_websocket_exception

from quartlogin import credentials_refused, user_needs_refresh, user_unauthorized

from .log import AuditLog, route

_EXTENSION_NAME: Final = "quartlogin.webapp.refused"
#: Kept with a request whose cookie or token was refused: that nobody is signed in follows from it.
_IS_TOLD: Final = "_quartlogin_refusal_is_told"


def install(app: Quart, audit_log: AuditLog) -> None:
    """Have it logged from now on."""
    watch = _Watch(audit_log)
    app.extensions[_EXTENSION_NAME] = watch  # a signal does not keep its receivers
    user_unauthorized.connect(watch.visitor_turned_away, app)
    user_needs_refresh.connect(watch.password_asked_for, app)
    credentials_refused.connect(watch.credentials_refused, app)
    got_request_exception.connect(watch.something_broke, app)
    got_websocket_exception.connect(watch.something_broke, app)


def session_refused() -> None:
    """Note a session cookie that does not count, of the running request."""
    watch: _Watch = current_app.extensions[_EXTENSION_NAME]
    watch.tell_first("session_refused")


class RouteLoggingQuart(Quart):
    """Quart, but for the line that it logs of a fault: the address in it could have line ends of its own."""

    def log_exception(self, *arguments: Any, **_: Any) -> None:
        """Log a fault with its traceback and the page that it happened on.

        Args:
            arguments: The last one is what `sys.exc_info()` gave; Quart 0.23 has its context before it.
        """
        self.logger.error("A request could not be answered: %s", route(), exc_info=arguments[-1])


class _Watch:
    """The receivers: one record for each request that is refused, of its first cause."""

    def __init__(self, audit_log: AuditLog) -> None:
        self._audit_log = audit_log

    async def credentials_refused(self, _: Quart, kind: str) -> None:
        self.tell_first(f"{kind}_refused")

    async def visitor_turned_away(self, _: Quart) -> None:
        self.tell_first("access_denied")

    async def password_asked_for(self, _: Quart) -> None:
        self._audit_log.warn("reauthentication_required")

    async def something_broke(self, _: Quart, exception: Exception) -> None:
        self._audit_log.warn("unexpected_error", error=type(exception).__name__)

    def tell_first(self, kind: str) -> None:
        kept = vars(_connection())
        if _IS_TOLD not in kept:
            kept[_IS_TOLD] = True
            self._audit_log.warn(kind)


def _connection() -> Any:
    return cast(Any, websocket if has_websocket_context() else request)._get_current_object()
