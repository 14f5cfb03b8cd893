"""The kinds of events: what each one means, in words. A feature declares its own; these are the shared ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from quartlogin import ConfigurationError


@dataclass(frozen=True)
class EventKind:
    """A kind of event."""

    #: What happened, as the account page and the documentation say it.
    title: str
    #: Whether it is logged but not stored: a client that keeps trying would otherwise fill the database.
    is_logged_only: bool = False
    #: Whether its subject stands behind the title on the account page.
    shows_subject: bool = False

    def describe(self, subject: str | None) -> str:
        """Return an event of this kind in words."""
        return f"{self.title}: {subject}" if self.shows_subject and subject else self.title


#: The kinds of events that belong to no feature.
SHARED_EVENTS: Final[Mapping[str, EventKind]] = {
    "rate_limited": EventKind("Attempt rejected by the rate limit"),
    "login_context_changed": EventKind("Sign-in used from a different browser or address"),
    "sign_in_step_required": EventKind("Correct password entered, another step required"),
    "user_disabled": EventKind("Account disabled by the operator"),
    "user_enabled": EventKind("Account enabled by the operator"),
    "user_renamed": EventKind("Account renamed by the operator"),
    "access_denied": EventKind("Unauthenticated request to a protected page", is_logged_only=True),
    "reauthentication_required": EventKind("Request to a page that needs a recent sign-in", is_logged_only=True),
    "csrf_rejected": EventKind("Rejected a form without its session's CSRF token", is_logged_only=True),
    "cross_site_request_rejected": EventKind("Rejected a form or websocket from another site", is_logged_only=True),
    "malformed_request": EventKind("Rejected a malformed request, or one for another host", is_logged_only=True),
    "session_refused": EventKind("Rejected a session cookie that is expired or not ours", is_logged_only=True),
    "remember_refused": EventKind(
        "Rejected a “keep me signed in” cookie that is expired or not ours", is_logged_only=True
    ),
    "bearer_refused": EventKind("Rejected an API token that is expired, revoked or not ours", is_logged_only=True),
    "invalid_device_cookie": EventKind("Rejected a device cookie that is expired or not ours", is_logged_only=True),
    "open_redirect_blocked": EventKind("Rejected an off-site `next` URL", is_logged_only=True),
    "database_unavailable": EventKind(
        "Could not answer a request because the database does not respond", is_logged_only=True
    ),
    "unexpected_error": EventKind(
        "Could not answer a request because of a bug; the program's log has the traceback", is_logged_only=True
    ),
}


def merge_kinds(parts: Iterable[tuple[str, Mapping[str, EventKind]]]) -> dict[str, EventKind]:
    """Join the kinds of several owners.

    Args:
        parts: For each owner its name, for messages, and its kinds.

    Raises:
        ConfigurationError: Two owners have a kind of the same name.
    """
    merged: dict[str, EventKind] = {}
    for owner, kinds in parts:
        for kind in kinds.keys() & merged.keys():
            raise ConfigurationError(f"The feature {owner!r} declares the event {kind!r}, which exists: rename it.")
        merged |= kinds
    return merged
