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
from commands import error_of, numbers_in
from databases import both_databases, run_sql
from quartlogin.webapp.cli import main
from servers import SCRIPTS
from slow import mostly_slow

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

    assert (done.exit_code, numbers_in(done.stdout)) == (0, [2, 0])
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
    assert re.search(r"^line 2: .*\b1\b.*\b2\b", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("line", "told"),
    mostly_slow(
        [
            ("Ada", r"\b1\b.*\b2\b"),
            (f"Ada,{PASSWORD},more", r"\b3\b.*\b2\b"),
            (f",{PASSWORD}", "'' .*username"),
            (f"a\u200bb,{PASSWORD}", r"'a\\u200bb' .*username"),
            (f"\x1b[2J,{PASSWORD}", r"'\\x1b\[2J' .*username"),
            ("Ada,short", r"\b15\b.*\b5\b"),
            ("Ada,manchesterunited", "common"),
            (f"GRACE,{PASSWORD}", r"'GRACE' .*\b2\b"),
            (f"A\0da,{PASSWORD}", ""),
        ],
        quick=4,
    ),
)
def test_a_bad_line_is_reported_with_its_number_and_nothing_is_imported(
    run: Run,
    database: str,
    line: str,
    told: str,
) -> None:
    content = f"{CLEAR}Grace,{PASSWORD}\n{line}\n"

    refused = run(content)

    [line_3, error] = refused.stderr.splitlines()
    assert refused.exit_code == 1
    assert re.match(rf"line 3: .*{told}", line_3)
    assert re.match(r"Error: 1 .*--skip-bad", error)
    assert "\x1b" not in refused.stderr
    assert names(database) == []

    skipped = run(content, "--skip-bad")

    assert numbers_in(skipped.stdout) == [1, 1]
    assert names(database) == ["Grace"]


@pytest.mark.parametrize(
    "line",
    [
        f'"Ada"x,{PASSWORD}',
        f'"Ada,{PASSWORD}',
        # A field that is too long for the reader: what is written in it is no line, though it has line breaks.
        f'Ada,"{"x" * 140_000}\nroot,{PASSWORD}\n"',
    ],
    ids=["after the quote", "no end", "a long field"],
)
@pytest.mark.parametrize("options", [[], ["--skip-bad"]], ids=["", "skip-bad"])
def test_a_file_that_is_not_csv_is_refused_as_a_whole(run: Run, database: str, line: str, options: list[str]) -> None:
    refused = run(f"{CLEAR}Grace,{PASSWORD}\n{line}\nLinus,{PASSWORD}\n", *options)

    assert refused.exit_code == 1
    assert "line 3" in refused.stderr
    assert names(database) == []


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
    assert re.search(r"^line 2: .*\bhash\b", run(f'{HASHED}Ada,"{stored}"\n').stderr, re.MULTILINE)


@pytest.mark.requirement("2.4.1", "15.2.2")
def test_denial_of_service_costly_hashes_are_rejected_with_their_lines_and_the_limits(run: Run, database: str) -> None:
    """Denial of service: each guess at such a name would cost a gibibyte a hundred times."""
    costly = HASH.replace("m=8,t=1", "m=1048576,t=100")
    moderate, four_lanes = HASH.replace("m=8,t=1", "m=262144,t=3"), HASH.replace("m=8,t=1,p=1", "m=65536,t=3,p=4")

    done = run(f'{HASHED}Ada,"{costly}"\nGrace,"{moderate}"\nJoan,"{costly}"\nMary,"{four_lanes}"\n', "--skip-bad")

    told = re.findall(r"^line (\d+): .*\bm=(\d+).*\bt=(\d+).*\bt times m=(\d+).*\bp=(\d+)", done.stderr, re.MULTILINE)
    assert told == [(line, "262144", "32", "786432", "16") for line in ("2", "4")]
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

    assert re.search(r"^line 3: .*\balready\b", refused.stderr, re.MULTILINE)
    assert (refused.exit_code, before) == (1, ["Ada"])
    assert numbers_in(skipped.stdout) == [1, 1]
    assert names(database) == ["Ada", "Grace"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{CLEAR}Ada,{PASSWORD}\n".encode("utf-16"), "UTF-16.*UTF-8"),
        (f"{CLEAR}Ada,{PASSWORD}\n".encode("utf-16-le"), "UTF-16.*UTF-8"),
        (f"{CLEAR}Zoë,{PASSWORD}\n".encode("latin-1"), r"\bline 2\b.*UTF-8"),
        (b"", "first line .*username,password or username,password_hash"),
        (b"username;password\n", "comma"),
        (b"name,password\n", "first line"),
        (b"username,password,password\n", "first line"),
        (b"username,password,password_hash\n", "first line"),
    ],
)
def test_a_file_that_cannot_be_read_as_it_should_be_is_one_sentence(
    run: Run,
    database: str,
    content: bytes,
    told: str,
) -> None:
    done = run(content, "--skip-bad")

    assert re.search(told, error_of(done))
    assert names(database) == []


def test_many_bad_lines_are_not_all_told(run: Run) -> None:
    done = run(CLEAR + "Ada,short\n" * 30)

    assert len(re.findall(r"^line ", done.stderr, re.MULTILINE)) == 20
    assert [numbers_in(line) for line in done.stderr.splitlines()[-2:]] == [[10], [30]]


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
    assert numbers_in(done.stdout) == [5000, 0]
    assert len(names(database)) == 5000
