"""Importing accounts from a file: all or none."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client import CHEAP, PASSWORD
from databases import both_databases, run_sql
from quartlogin.webapp.cli import main
from servers import SCRIPTS

HASH = CHEAP.hash(PASSWORD)
Run = Callable[..., Result]
CLEAR = "username,password\n"
HASHED = "username,password_hash\n"


@pytest.fixture
def run(tmp_path: Path, database: str) -> Run:
    def run(content: str | bytes, *options: str) -> Result:
        file = tmp_path / "people.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return CliRunner().invoke(main, ["user", "import", str(file), "--database", database, *options])

    return run


def names(database: str) -> list[str]:
    is_there = database.startswith("postgresql://") or Path(database).exists()
    return (
        [name for (name,) in run_sql(database, "SELECT username FROM quartlogin_users ORDER BY username")]
        if is_there
        else []
    )


def test_hashed_passwords_are_taken_as_they_are(run: Run, database: str) -> None:
    done = run(f'{HASHED}Ada,"{HASH}"\nGrace,"{HASH}"\n')

    assert (done.exit_code, done.stdout) == (0, "Imported 2 accounts, skipped 0 lines.\n")
    assert run_sql(
        database,
        "SELECT username, username_key, password_hash FROM quartlogin_users"
        " JOIN quartlogin_passwords ON user_id = id ORDER BY username",
    ) == [
        ("Ada", "ada", HASH),
        ("Grace", "grace", HASH),
    ]


def test_clear_passwords_are_hashed(run: Run, database: str) -> None:
    done = run(f"{CLEAR}Ada,{PASSWORD}\n")

    [(stored,)] = run_sql(database, "SELECT password_hash FROM quartlogin_passwords")
    assert done.exit_code == 0
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored + done.output


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_write_their_own_kind_of_csv(run: Run, database: str, mark: bytes, end: str) -> None:
    text = f'username,password_hash{end}"Zoë, Ada"{end}{end}Zoë,"{HASH}"{end}'
    done = run(mark + text.encode(), "--skip-bad")

    assert names(database) == ["Zoë"]
    assert "line 2: it has 1 columns instead of 2\n" in done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Ada", "it has 1 columns instead of 2"),
        (f"Ada,{PASSWORD},more", "it has 3 columns instead of 2"),
        (f",{PASSWORD}", "'' is not a valid username"),
        (f"a\u200bb,{PASSWORD}", "'a\\u200bb' is not a valid username"),
        (f"\x1b[2J,{PASSWORD}", "'\\x1b[2J' is not a valid username"),
        ("Ada,short", "the password cannot be used. Use at least 15 characters (you entered 5)."),
        ("Ada,manchesterunited", "the password cannot be used. This password is too common"),
        (f"GRACE,{PASSWORD}", "the name 'GRACE' is already in line 2"),
        (f'"Ada"x,{PASSWORD}', "this is not valid CSV"),
        (f'"Ada,{PASSWORD}', "this is not valid CSV"),
        (f"A\0da,{PASSWORD}", ""),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_nothing_is_imported(
    run: Run,
    database: str,
    line: str,
    told: str,
) -> None:
    content = f"{CLEAR}Grace,{PASSWORD}\n{line}\n"

    refused = run(content)

    assert refused.exit_code == 1
    assert f"line 3: {told}" in refused.stderr
    assert refused.stderr.endswith(
        "Error: 1 line is invalid, so nothing was imported. --skip-bad imports the others.\n"
    )
    assert "\x1b" not in refused.stderr
    assert names(database) == []

    skipped = run(content, "--skip-bad")

    assert skipped.stdout == "Imported 1 accounts, skipped 1 lines.\n"
    assert names(database) == ["Grace"]


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "$2b$12$abcdefghijklmnopqrstuv",
        HASH.replace("m=8", "m=99999999"),
        HASH.replace("t=1", "t=9999"),
        HASH.replace("t=1", "t=0"),
        HASH.replace("m=8", "m=1"),
        HASH.replace("m=8,t=1", "m=1048576,t=100"),
        HASH.replace("m=8,t=1", "m=262145,t=1"),
        HASH.replace("m=8,t=1", "m=65536,t=13"),
        HASH.replace("m=8,t=1,p=1", "m=65536,t=3,p=17"),
        HASH.replace("v=19", "v=18"),
        HASH + "!",
    ],
    ids=[
        *("none", "no hash", "bcrypt", "memory", "passes", "no passes", "no memory", "a gibibyte a hundred times"),
        *("a bit too much memory", "a bit too much time", "too many lanes", "version", "a letter too many"),
    ],
)
def test_a_hash_that_cannot_or_should_not_be_checked_is_a_bad_line(run: Run, stored: str) -> None:
    assert "line 2: the password cannot be used. The hash" in run(f'{HASHED}Ada,"{stored}"\n').stderr


@pytest.mark.requirement("2.4.1", "15.2.2")
def test_hashes_that_would_exhaust_the_server_are_told_with_their_lines_and_the_limits(run: Run, database: str) -> None:
    """Denial of service: each guess at such a name would cost a gibibyte a hundred times."""
    costly = HASH.replace("m=8,t=1", "m=1048576,t=100")
    moderate, four_lanes = HASH.replace("m=8,t=1", "m=262144,t=3"), HASH.replace("m=8,t=1,p=1", "m=65536,t=3,p=4")

    done = run(f'{HASHED}Ada,"{costly}"\nGrace,"{moderate}"\nJoan,"{costly}"\nMary,"{four_lanes}"\n', "--skip-bad")

    assert re.findall(r"^line (\d+): .* too much memory or time", done.stderr, re.MULTILINE) == ["2", "4"]
    assert "The maximum is m=262144, t=32, t times m=786432 and p=16." in done.stderr
    assert names(database) == ["Grace", "Mary"]


def test_a_line_has_the_number_that_an_editor_shows(run: Run) -> None:
    done = run(f'{CLEAR}"Ada\nLovelace",{PASSWORD}\n\nGrace,short\n')

    assert "line 2: " in done.stderr
    assert "line 5: " in done.stderr


def test_names_that_are_taken_are_bad_lines(run: Run, database: str) -> None:
    run(f'{HASHED}Ada,"{HASH}"\n')
    content = f'{HASHED}Grace,"{HASH}"\nADA,"{HASH}"\n'

    refused = run(content)
    before = names(database)
    skipped = run(content, "--skip-bad")

    assert "line 3: there is already an account with this name\n" in refused.stderr
    assert (refused.exit_code, before) == (1, ["Ada"])
    assert skipped.stdout == "Imported 1 accounts, skipped 1 lines.\n"
    assert names(database) == ["Ada", "Grace"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{CLEAR}Ada,{PASSWORD}\n".encode("utf-16"), "it is in UTF-16. Save it as UTF-8.\n"),
        (f"{CLEAR}Ada,{PASSWORD}\n".encode("utf-16-le"), "it is in UTF-16. Save it as UTF-8.\n"),
        (f"{CLEAR}Zoë,{PASSWORD}\n".encode("latin-1"), "line 2 is not UTF-8. Save the file as UTF-8.\n"),
        (b"", "its first line must be username,password or username,password_hash, separated by a comma.\n"),
        (b"username;password\n", "separated by a comma.\n"),
        (b"name,password\n", "its first line must be"),
        (b"username,password,password\n", "its first line must be"),
        (b"username,password,password_hash\n", "its first line must be"),
    ],
)
def test_a_file_that_cannot_be_read_as_it_should_be_is_one_sentence(
    run: Run,
    database: str,
    content: bytes,
    told: str,
) -> None:
    done = run(content, "--skip-bad")

    assert done.exit_code == 1
    assert told in done.stderr
    assert names(database) == []


def test_many_bad_lines_are_not_all_told(run: Run) -> None:
    done = run(CLEAR + "Ada,short\n" * 30)

    assert len(re.findall(r"^line ", done.stderr, re.MULTILINE)) == 20
    assert "... and 10 more\nError: 30 lines are invalid, so nothing was imported." in done.stderr


@pytest.mark.slow
@both_databases
def test_killed_in_the_middle_of_storing_nothing_is_there(tmp_path: Path, database: str) -> None:
    """The process kills itself with SIGKILL, after some of the lines are stored, before the last of them."""
    file = tmp_path / "people.csv"
    file.write_text(HASHED + "".join(f'user{number},"{HASH}"\n' for number in range(5000)))
    script = (
        "import os, signal\n"
        "from quartlogin.accounts.features.registration import commands\n"
        "from quartlogin.webapp.cli import main\n"
        "class Bar:\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *_): pass\n"
        "    def update(self, count): print(count, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "commands._progress = lambda *_, **__: Bar()\n"
        f"main(['user', 'import', {str(file)!r}, '--database', {database!r}])\n"
    )

    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == "1000\n"
    assert names(database) == []
    done = subprocess.run(
        [SCRIPTS / "quartlogin", "user", "import", file, "--database", database],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Imported 5000 accounts, skipped 0 lines.\n"
    assert len(names(database)) == 5000
