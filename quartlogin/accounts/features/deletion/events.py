"""The events of deletion."""

from collections.abc import Mapping
from typing import Final

from ...audit.kinds import EventKind

EVENTS: Final[Mapping[str, EventKind]] = {
    "account_deletion_failed": EventKind("Wrong password when deleting the account"),
    "account_deleted": EventKind("Account deleted"),
}
