"""What can go wrong with the database, one class for each case that a caller treats differently."""

from quartlogin import LoginRefused


class StoreUnavailable(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """The database does not answer, or not now."""


class DatabaseRefused(Exception):  # noqa: N818 -- the message is one sentence for the operator
    """This database cannot be used at all: unreadable, read-only, or another program's."""


class Conflict(Exception):  # noqa: N818 -- for the caller to name
    """A row of this key is there already, or the row that it belongs to is not."""


class LoginEnded(LoginRefused):
    """The login that asks for a change no longer counts; nothing was changed."""


class NamesTaken(Exception):  # noqa: N818 -- as below
    """Some of many names are taken already.

    Args:
        keys: Those names, normalised.
    """

    def __init__(self, keys: list[str]) -> None:
        super().__init__(f"{len(keys)} names are taken")
        self.keys = keys


class UsernameTaken(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """Somebody has this name already, or one that differs only in case, width or composition."""
