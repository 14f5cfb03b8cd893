"""Reject requests that another site sends to change something here."""

from typing import Any, Final
from urllib.parse import urlsplit

from quart import abort, request

from ..audit.log import AuditLog

#: Methods of requests that change nothing.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})


def reject_cross_site_request(audit_log: AuditLog) -> None:
    """Reject this request if another site sent it to change something, whatever CSRF token it carries.

    Browsers name the sender in `Sec-Fetch-Site` and in `Origin`; for clients that send neither, the form's token
    decides (OWASP CSRF Prevention Cheat Sheet).

    Raises:
        HTTPException: 403.
    """
    if request.method not in SAFE_METHODS and not _is_same_origin(request.headers):
        audit_log.warn("cross_site_request_rejected")
        abort(403, "This form was sent from another site and has been rejected. Nothing was changed.")


def _is_same_origin(headers: Any) -> bool:
    if headers.get("Sec-Fetch-Site", "none") not in _OWN_FETCH_SITES:
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # A proxy that ends TLS unannounced makes our scheme http while the browser's is https; never the other way.
    return bool(parts.netloc == request.host and parts.scheme in {request.scheme, "https"})
