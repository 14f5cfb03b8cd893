"""The process is killed while users of an app register, sign in, change the password and delete the account.

`python tests/killing.py --kills 500` does the same for longer.
"""

import sys
from pathlib import Path

import pytest

from databases import on_postgresql
from killing import Killing, killing, table_of

#: Each kill takes a few requests, before and after.
pytestmark = pytest.mark.slow

#: Commits that no user depends on, and the time after the last one.
UNIMPORTANT = r"^(inside|after) (attempt_counters|logins|events)$|^before the response$"


def show(killer: Killing) -> None:
    sys.stdout.write(table_of(killer.counts))


def test_race_a_process_killed_at_any_commit_leaves_no_user_to_a_stranger(tmp_path: Path) -> None:
    file = str(tmp_path / "app.sqlite3")
    with killing(tmp_path, file, file, seed=1) as killer:
        for kind in [kind for kind in killer.kinds if kind != "register again"]:
            killer.at_every_point(kind, left_out=UNIMPORTANT)
    show(killer)


@pytest.mark.parametrize(("file", "seed"), [("app.sqlite3", 2), ("people.sqlite3", 3)])
def test_race_a_process_killed_at_any_time_leaves_no_user_to_a_stranger(tmp_path: Path, file: str, seed: int) -> None:
    with killing(tmp_path, str(tmp_path / "app.sqlite3"), str(tmp_path / file), seed) as killer:
        for _ in range(8):
            killer.somewhere()
    show(killer)


@on_postgresql
def test_race_a_process_killed_on_postgresql_leaves_no_user_to_a_stranger(tmp_path: Path, database: str) -> None:
    with killing(tmp_path, database, database, seed=4) as killer:
        killer.at_every_point("register", left_out=UNIMPORTANT)
        for _ in range(4):
            killer.somewhere()
    show(killer)
