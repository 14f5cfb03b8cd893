"""Paths of the files that are not Python: inside the installed package, or at the top of a checkout."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_CHECKOUT: Final = _PACKAGE.parent.parent

#: The files that browsers request: style, scripts, icon.
STATIC: Final = _PACKAGE / "pages" / "static"


def find_resource(name: str) -> Path:
    """Return the path of `templates` or `schema.sql`."""
    installed = _PACKAGE / name
    return installed if installed.exists() else _CHECKOUT / name
