"""Which requests that change something are refused because another site sent them."""

from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart, abort, request

from ..audit.log import AuditLog

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})


def reject_cross_site_posts(app: Quart, audit_log: AuditLog) -> None:
    """Have requests that change something refused when another site sent them, whatever token they carry.

    Browsers say where a request comes from in `Sec-Fetch-Site` and in `Origin`; clients that send neither are left
    to the form's token (OWASP CSRF Prevention Cheat Sheet).
    """

    async def refuse() -> None:
        if request.method not in _SAFE_METHODS and not _is_own(request.headers):
            audit_log.warn("cross_site_request_rejected")
            abort(403, "This form was sent from another site, so it was refused. Nothing was changed.")

    app.before_request(refuse)


def _is_own(headers: Any) -> bool:
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
