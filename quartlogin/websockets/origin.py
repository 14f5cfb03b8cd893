"""The origin check for websockets: which pages may open one with a visitor's cookies.

A page of any site may open a websocket to any other, and browsers send the cookies along; unlike with a request, the
page can read the responses (cross-site websocket hijacking, ASVS 5.0 4.4.2).
"""

from typing import Final
from urllib.parse import urlsplit

from ..clients import is_websocket
from ..context import current_connection, current_manager

_SCHEMES: Final = {"ws": {"http", "https"}, "wss": {"https"}}


def is_foreign_websocket() -> bool:
    """Tell whether another site's page has opened this websocket."""
    return is_websocket() and not is_own_origin()


def is_own_origin() -> bool:
    """Tell whether a page of this site, or of one of `LoginManager.websocket_origins`, opened this websocket.

    A client without `Origin` is no browser, so it has no other user's cookies. A proxy that ends TLS unannounced makes
    our scheme ws while the page's is https; never the other way.
    """
    websocket = current_connection()
    origin = websocket.headers.get("Origin")
    if origin is None or origin in current_manager().websocket_origins:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return (
        bool(parts.netloc)
        and parts.netloc == websocket.host
        and parts.scheme in _SCHEMES.get(websocket.scheme, {"https"})
    )
