"""What a response that depends on the user says to caches.

Without this, a cache in front of the app may show one visitor another's page. Quart 0.22 with Flask 3.1.3 does
not send `Vary: Cookie` by itself (the class of CVE-2026-27205).
"""

from quart import Quart
from quart.typing import ResponseTypes

from .loading import state_of_request


def install(app: Quart) -> None:
    """Have every response that looked at the user marked, after all other `after_request` functions."""
    # They run in reverse order of registration, so the first of the list is the last to run: one that
    # another part of the app registered may look at the user itself.
    app.after_request_funcs.setdefault(None, []).insert(0, _mark)


async def _mark(response: ResponseTypes) -> ResponseTypes:
    state = state_of_request()
    if state is None:
        return response
    state.answered = True
    if state.looked:
        mark_private(response)
    return response


def mark_private(response: ResponseTypes) -> None:
    """Tell caches that this response is for one visitor only (RFC 9111, 5.2.2).

    A `Cache-Control` that the view has set stays, but is made `private`; without one, nothing is stored.
    """
    response.vary.add("Cookie")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-store"
        return
    control = response.cache_control
    if not control.no_store:
        for directive in [name for name in control if name.lower() == "public"]:
            del control[directive]
        control.private = True  # also if it named single fields: those alone would be private
