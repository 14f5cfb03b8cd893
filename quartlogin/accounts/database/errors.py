"""Database errors: one class for each case that callers treat differently."""

from quartlogin import LoginRefused

from ..security.proofs import Requirement


class StoreUnavailable(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """The database does not respond."""


class DatabaseRefused(Exception):  # noqa: N818 -- the message is one sentence for the operator
    """The database cannot be used: unreadable, read-only, or another program's."""


class Conflict(Exception):  # noqa: N818 -- callers translate it
    """A row with this key exists already, or the row that it refers to does not."""


class LoginEnded(LoginRefused):
    """The login that requests a change is no longer active; nothing was changed."""


class ReauthenticationRequired(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """The login that requests a change no longer holds what must be proved; nothing was changed.

    Args:
        requirement: What must be proved.
    """

    def __init__(self, requirement: Requirement) -> None:
        super().__init__("The user must be authenticated again.")
        self.requirement = requirement


class NamesTaken(Exception):  # noqa: N818 -- the caller reports the names
    """Some of the usernames are taken.

    Args:
        keys: The taken usernames, normalized.
    """

    def __init__(self, keys: list[str]) -> None:
        super().__init__(f"{len(keys)} names are taken")
        self.keys = keys


class NameTaken(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """A user has this username, or one that differs only in case, width or composition."""
