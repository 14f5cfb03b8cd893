"""The end of logins, told to listeners.

Where a login is ended, only the hash of its id is known. Its start is the login's `record`: `login_row` has it beside
the label of the id.
"""

from collections.abc import Iterable
from typing import Final

from quartlogin import tracing

_LENGTH: Final = 8  # of a hash of 256 bits: enough to tell logins apart, and no use to anybody else


def record_of(id_hash: str) -> str:
    """Return the name of a login's record, from the hash of its id."""
    return id_hash[:_LENGTH]


def tell_ended(id_hashes: Iterable[str], reason: str) -> None:
    """Tell that some logins have ended, once that is committed; call this only `if tracing.listeners`."""
    for id_hash in id_hashes:
        tracing.tell("login_ended", record=record_of(id_hash), reason=reason)
