"""The events of logins and API tokens."""

from collections.abc import Mapping
from typing import Final

from ...audit.kinds import EventKind

EVENTS: Final[Mapping[str, EventKind]] = {
    "signed_in": EventKind("Signed in"),
    "signed_in_after_failures": EventKind("Signed in after several failed sign-ins"),
    "login_resumed": EventKind("Signed in again by “keep me signed in”"),
    "signed_out": EventKind("Signed out"),
    "token_reuse_detected": EventKind("Sign-in ended, because a copy of its cookie was used"),
    "login_evicted": EventKind("Sign-in ended, because there were too many"),
    "login_revoked": EventKind("Sign-in ended"),
    "logins_revoked": EventKind("All other sign-ins ended"),
    "all_logins_revoked": EventKind("All sign-ins and API tokens ended by the operator"),
    "reauthenticated": EventKind("Password confirmed"),
    "token_created": EventKind("API token created", shows_subject=True),
    "token_revoked": EventKind("API token revoked", shows_subject=True),
    "object_access_denied": EventKind(
        "Attempt to end a sign-in or token that belongs to another user or does not exist", is_logged_only=True
    ),
}
