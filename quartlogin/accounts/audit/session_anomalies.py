"""Tells the operator when a sign-in is used from another browser or address than it began in.

That is a signal and no proof, since phones change their address all day (OWASP Session Management Cheat Sheet). So the
sign-in goes on; the extension's session protection has the password asked for again where it matters.
"""

from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final

from quart import Quart, after_this_request, has_request_context

from quartlogin import current_user, session_protected

from ..database.errors import StoreUnavailable
from .log import AuditLog, client_info

_MOST_KEPT: Final = 10_000  # logins
_MOST_PLACES: Final = 10  # of one login: a browser's name is whatever it says, so there could be one for each request
_EXTENSION_NAME: Final = "quartlogin.webapp.moved_logins"


class SessionAnomalies:
    """Tells of each sign-in once for each of ten places that it moved to, or the log would fill with its requests."""

    def __init__(self, audit_log: AuditLog) -> None:
        self._audit_log = audit_log
        #: The places that were told of, by the public id of the login.
        self._told: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()

    def install(self, app: Quart) -> None:
        """Listen to the extension for as long as there is this app."""
        app.extensions[_EXTENSION_NAME] = self  # signals hold their receivers weakly
        session_protected.connect(self.notice, app)

    async def notice(self, _: Quart) -> None:
        """Have it told after the request, if the sign-in counts by then."""
        if has_request_context():
            after_this_request(self._tell)

    async def _tell(self, response: Any) -> Any:
        with suppress(StoreUnavailable):
            user = await current_user
            if user.is_authenticated and self._is_new(user.login_public_id):
                self._audit_log.emit(self._audit_log.event("login_context_changed", user.id, user.login_public_id))
        return response

    def _is_new(self, public_id: str) -> bool:
        place, places = client_info(), self._told.setdefault(public_id, set())
        self._told.move_to_end(public_id)
        if len(self._told) > _MOST_KEPT:
            self._told.popitem(last=False)
        if place in places or len(places) >= _MOST_PLACES:
            return False
        places.add(place)
        return True
