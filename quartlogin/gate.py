"""What happens before every view, unless the app asks for none of it: hardly anything."""

from typing import Any

from quart import current_app, request

from .clients import is_websocket
from .config import EXEMPT_METHODS
from .connection import current_connection
from .extension import current_manager
from .guards import is_exempt, turn_away_visitors
from .loading import user_of_request
from .redirects import expand_login_view
from .state import state_of_request


async def before_view() -> Any:
    """Remember which loop serves this request, for the threads that it may start; load and guard if so configured."""
    state_of_request()
    manager = current_manager()
    if manager.require_login and _is_guarded():
        return await turn_away_visitors()
    if manager.eager and not _is_static():
        await user_of_request()
    return None


def _is_guarded() -> bool:
    """Tell whether `require_login` covers this view: all but files, login pages and what is marked exempt."""
    endpoint = current_connection().endpoint
    if endpoint is None or _is_static() or is_exempt(current_app.view_functions[endpoint]):
        return False
    if is_websocket():
        return True
    return request.method not in EXEMPT_METHODS and not _is_login_page(endpoint)


def _is_static() -> bool:
    endpoint = current_connection().endpoint
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def _is_login_page(endpoint: str) -> bool:
    manager = current_manager()
    pages = [manager.login_view, manager.refresh_view, *manager.blueprint_login_views.values()]
    return any(page is not None and (page == endpoint or expand_login_view(page) == request.path) for page in pages)
