"""Write schema.sql from the parts: one in each shared folder of the accounts, and one in each feature that has tables.

python tools/make_schema.py
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from quartlogin.accounts.features.shipped import default_features

ROOT: Final = Path(__file__).parent.parent
SCHEMA: Final = ROOT / "schema.sql"
ACCOUNTS: Final = ROOT / "quartlogin" / "accounts"
#: The shared folders whose tables features refer to, and those whose tables refer to none of a feature.
FIRST: Final = ("database", "users")
LAST: Final = ("sign_in", "audit", "security")


def parts() -> list[Path]:
    """Return the parts, in an order in which each table refers to tables above it."""
    features = [f"features/{feature.name}" for feature in default_features()]
    found = [ACCOUNTS / folder / "schema.sql" for folder in (*FIRST, *features, *LAST)]
    return [part for part in found if part.exists()]


def join(texts: Iterable[str]) -> str:
    """Return the schema.

    Raises:
        ValueError: A table refers to one that is created below it.
    """
    schema = "\n".join(texts)
    created: set[str] = set()
    for create, refer in re.findall(r"^CREATE TABLE (\w+)|\bREFERENCES (\w+)", schema, re.MULTILINE):
        if refer and refer not in created:
            raise ValueError(f"A table refers to {refer}, which does not stand above it: reorder the parts.")
        created.add(create)
    return schema


def make() -> str:
    """Return what schema.sql must be."""
    return join(part.read_text(encoding="utf-8") for part in parts())


if __name__ == "__main__":
    SCHEMA.write_text(make(), encoding="utf-8")
