"""Cache headers for responses that depend on the user.

Without them, a cache in front of the app may show one visitor another's page. Quart 0.22 with Flask 3.1.3 does not send
`Vary: Cookie` by itself (the class of CVE-2026-27205).
"""

from quart.typing import ResponseTypes


def vary_on(response: ResponseTypes, header: str) -> None:
    """Add a request header to `Vary`."""
    present = response.headers.getlist("Vary")
    if not present:
        response.headers.add("Vary", header)  # most have none yet; parsing and writing it takes ten times as long
    elif present != [header]:
        response.vary.add(header)


def mark_private(response: ResponseTypes) -> None:
    """Mark a response as private to one visitor (RFC 9111, 5.2.2).

    A `Cache-Control` that the view has set stays, but becomes `private`; without one, nothing is stored.
    """
    present = {name.lower() for name, _ in response.headers}  # one pass; `getlist` takes as long for each name
    if "vary" in present:
        vary_on(response, "Cookie")
    else:
        response.headers.add("Vary", "Cookie")
    if "cache-control" not in present:
        response.headers.add("Cache-Control", "private, no-store")
        return
    control = response.cache_control
    if not control.no_store:
        for directive in [name for name in control if name.lower() == "public"]:
            del control[directive]
        control.private = True  # even if it named fields: only those would be private
