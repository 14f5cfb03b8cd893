"""The events of passwords."""

from collections.abc import Mapping
from typing import Final

from ...audit.kinds import EventKind

EVENTS: Final[Mapping[str, EventKind]] = {
    "sign_in_failed": EventKind("Failed sign-in"),
    "reauthentication_failed": EventKind("Wrong password when confirming"),
    "password_changed": EventKind("Password changed"),
    "password_change_failed": EventKind("Wrong password when changing the password"),
    "password_set": EventKind("Password set by the operator"),
    "password_change_required": EventKind("Password change required by the operator"),
    "overloaded": EventKind("Rejected a password check because too many others were waiting", is_logged_only=True),
}
