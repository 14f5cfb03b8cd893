"""schema.sql is what its parts say."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from make_schema import ACCOUNTS, SCHEMA, join, make, parts  # noqa: E402 -- tools/ is no package


def test_the_schema_is_what_its_parts_say() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == make(), "run python tools/make_schema.py"


def test_no_part_of_the_schema_is_left_out() -> None:
    assert sorted(parts()) == sorted(ACCOUNTS.rglob("*/schema.sql"))


def test_a_table_that_refers_to_one_below_it_is_refused() -> None:
    a, b = "CREATE TABLE a (id TEXT PRIMARY KEY);\n", "CREATE TABLE b (a_id TEXT REFERENCES a (id));\n"

    assert join([a, b]) == f"{a}\n{b}"
    with pytest.raises(ValueError, match="refers to a,"):
        join([b, a])


def test_the_migration_in_the_docs_drops_every_table() -> None:
    [downgrade] = re.findall(
        r"def downgrade\(\).*?```", (ROOT / "docs/alembic.md").read_text(encoding="utf-8"), re.DOTALL
    )

    dropped = [f"quartlogin_{name}" for name in re.findall(r'"(\w+)"', downgrade)]

    assert sorted(dropped) == sorted(re.findall(r"^CREATE TABLE (\w+)", make(), re.MULTILINE))
