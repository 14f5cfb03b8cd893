"""The names of users and logins in diagrams and stories."""

from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 12  # characters of an id that is shown


class Names:
    """Short names for the ids of users and logins.

    Args:
        as_recorded: Whether to show the ids themselves. Otherwise logins, and users with long ids, which both are
            random, are numbered: the same steps then have the same names at each run.
    """

    def __init__(self, *, as_recorded: bool) -> None:
        self._as_recorded = as_recorded
        self._users: dict[str, int] = {}
        self._logins: dict[str, int] = {}

    def named(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """Return the details of a step with the names of the `user` and the `login`, `None` for none."""
        user_id, login = details.get("user_id"), details.get("login")
        user = None if user_id is None else self.user(user_id)
        return _Details(details, user=user, login=None if login is None else self.login(login))

    def user(self, user_id: Any) -> str:
        """Return the name of a user."""
        text = str(user_id)
        if len(text) <= _LONGEST:
            return text
        if self._as_recorded:
            return f"{text[: _LONGEST - 1]}…"
        return f"#{_number(text, self._users)}"

    def login(self, label: str) -> str:
        """Return the name of a login."""
        return f"login {label if self._as_recorded else _number(label, self._logins)}"


def _number(name: str, known: dict[str, int]) -> int:
    return known.setdefault(name, len(known) + 1)


class _Details(dict[str, Any]):
    """Details of which a text may name any: a step of another version may lack some."""

    def __missing__(self, key: str) -> str:
        return "unknown"
