"""What a response that depends on the user says to caches.

Without this, a cache in front of the app may show one visitor another's page. Quart 0.22 with Flask 3.1.3 does
not send `Vary: Cookie` by itself (the class of CVE-2026-27205).
"""

from quart.typing import ResponseTypes


def vary_on(response: ResponseTypes, header: str) -> None:
    """Tell caches that this response is for requests alone that say the same in this header."""
    present = response.headers.getlist("Vary")
    if not present:
        response.headers.add("Vary", header)  # most have none yet; to parse and write it takes ten times as long
    elif present != [header]:
        response.vary.add(header)


def mark_private(response: ResponseTypes) -> None:
    """Tell caches that this response is for one visitor only (RFC 9111, 5.2.2).

    A `Cache-Control` that the view has set stays, but is made `private`; without one, nothing is stored.
    """
    vary_on(response, "Cookie")
    if not response.headers.getlist("Cache-Control"):
        response.headers.add("Cache-Control", "private, no-store")
        return
    control = response.cache_control
    if not control.no_store:
        for directive in [name for name in control if name.lower() == "public"]:
            del control[directive]
        control.private = True  # also if it named single fields: those alone would be private
