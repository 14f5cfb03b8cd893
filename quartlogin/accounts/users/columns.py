"""`UserColumns`: the columns of an app's users table that a page needs, for one statement with the login."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quartlogin import ConfigurationError

#: A name of SQL, or two: a table's may begin with its schema's.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TABLE: Final = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})?")
_ID_TYPES: Final = ("TEXT", "BIGINT")


@dataclass(frozen=True)
class UserColumns:
    """The columns from which a user is made, in a table of the accounts' own database.

    Args:
        table: The table, with its schema if it needs one: `customers`, `team.members`.
        id: The column whose text is the user's `get_id()`.
        names: The columns, as they are written in the database: small and capital letters matter.
        make: Returns the user; called with their values, in this order.
        id_type: The type of the column `id`: `TEXT`, or `BIGINT` for any integer.

    Raises:
        ConfigurationError: One of them is no such name, there are no columns, or the type is another one.
    """

    table: str
    id: str
    names: Sequence[str]
    make: Callable[..., Any]
    id_type: str = "TEXT"

    def __post_init__(self) -> None:
        if isinstance(self.names, str) or not self.names:
            raise ConfigurationError(f"UserColumns(names={self.names!r:.80}): give a list with at least one column.")
        for name in (self.id, *self.names):
            _check("column", name, _NAME)
        _check("table", self.table, _TABLE)
        if self.id_type not in _ID_TYPES:
            raise ConfigurationError(f"UserColumns(id_type={self.id_type!r:.80}): use one of {', '.join(_ID_TYPES)}.")

    def select(self) -> str:
        """Return the SQL of the columns: first the id, which is NULL for a login whose user is gone."""
        return ", ".join(f'u."{name}"' for name in (self.id, *self.names))

    def join(self) -> str:
        """Return the SQL that joins the table to the logins `l`."""
        table = ".".join(f'"{part}"' for part in self.table.split("."))
        return f'LEFT JOIN {table} u ON u."{self.id}" = CAST(l.user_id AS {self.id_type})'


def _check(what: str, name: Any, pattern: re.Pattern[str]) -> None:
    if not isinstance(name, str) or pattern.fullmatch(name) is None:
        raise ConfigurationError(f"UserColumns: {name!r:.80} is no name of a {what}: use letters, digits and _.")
