"""The command line, apart from a running server."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client import KEY, PASSWORD
from databases import run_sql
from quartlogin.webapp.cli import main


def run(*arguments: str, typed: str = "", environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed, env=environment or {})


def usernames(database: str) -> list[str]:
    return [name for (name,) in run_sql(database, "SELECT username FROM quartlogin_users")]


def test_init_db_creates_the_database(database: str) -> None:
    result = run("init-db", "--database", database)

    assert result.exit_code == 0
    assert result.output == f"The database {database} is ready.\n"
    assert usernames(database) == []


def test_the_database_may_be_named_in_the_environment(database: str) -> None:
    result = run("init-db", environment={"QUARTLOGIN_DATABASE": database})

    assert result.exit_code == 0
    assert Path(database).exists()


def test_user_create_asks_for_the_password_twice(database: str) -> None:
    result = run("user", "create", "Alice", "--database", database, typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert "The account 'Alice' is ready." in result.output
    assert PASSWORD not in result.output
    assert usernames(database) == ["Alice"]


@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_user_create_reads_the_password_from_standard_input(database: str, line_end: str) -> None:
    result = run("user", "create", "Alice", "--password-stdin", "--database", database, typed=PASSWORD + line_end)

    assert result.exit_code == 0
    assert usernames(database) == ["Alice"]


def test_a_name_that_is_taken_is_one_sentence(database: str) -> None:
    run("user", "create", "Alice", "--password-stdin", "--database", database, typed=PASSWORD)

    result = run("user", "create", "ALICE", "--password-stdin", "--database", database, typed=PASSWORD)

    assert result.exit_code == 1
    assert result.stderr == "Error: There is already an account named 'ALICE'.\n"
    assert usernames(database) == ["Alice"]


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("", PASSWORD, "Error: '' is not a valid username. Use 1 to 64 letters and digits"),
        ("a\u200bb", PASSWORD, "is not a valid username."),
        ("Alice", "short", "Error: This password cannot be used. Use at least 15 characters (you entered 5).\n"),
        ("Alice", "x" * 1025, "Use at most 1024 characters (you entered 1025).\n"),
        ("Alice", "manchesterunited", "This password is too common"),
        ("alice in wonderland", "Alice in Wonderland 2026", "consists of your username"),
        ("Alice", "", "(you entered 0).\n"),
    ],
)
def test_a_bad_name_or_password_is_one_sentence(database: str, name: str, password: str, sentence: str) -> None:
    result = run("user", "create", name, "--password-stdin", "--database", database, typed=password)

    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not Path(database).exists()


def test_a_password_that_is_not_utf_8_is_one_sentence(database: str) -> None:
    result = CliRunner().invoke(main, ["user", "create", "Alice", "--password-stdin", "--database", database], b"\xff")

    assert result.exit_code == 1
    assert result.stderr == "Error: The password on standard input is not UTF-8.\n"


@pytest.mark.parametrize("command", [["init-db"], ["user", "create", "Alice", "--password-stdin"], ["serve"]])
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    other = tmp_path / "other.sqlite3"
    run_sql(other, "CREATE TABLE theirs (id INTEGER)")

    result = run(*command, "--database", str(other), typed=PASSWORD)

    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == [other]
    assert result.stderr == f"Error: The database {other} belongs to another program. Use the path of a new file.\n"


def test_a_setting_with_a_typo_is_one_sentence() -> None:
    result = run("init-db", environment={"QUARTLOGIN_DATABSE": "x"})

    assert result.exit_code == 1
    assert result.stderr == ("Error: There is no setting QUARTLOGIN_DATABSE. Did you mean QUARTLOGIN_DATABASE?\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_serving_others_needs_a_secret_key(database: str, host: str) -> None:
    result = run("serve", "--host", host, "--database", database)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no SECRET_KEY. Set QUARTLOGIN_SECRET_KEY; make one with: python3")
    assert not Path(database).exists()


def test_a_port_that_is_taken_is_one_sentence(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port), "--database", database, environment={"QUARTLOGIN_SECRET_KEY": KEY})

    assert result.exit_code == 1
    assert result.stderr == f"Error: Cannot listen on 127.0.0.1:{port}: address already in use.\n"


def test_help_gives_examples() -> None:
    assert "\n  quartlogin user create alice           create an account\n" in run("--help").output
    assert "\n  pass show alice | quartlogin user create alice --password-stdin\n" in (
        run("user", "create", "--help").output
    )


@pytest.mark.slow
def test_a_read_only_database_stops_serve(database: str) -> None:
    """By the file format's own word, which binds root as well as everybody else."""
    run("init-db", "--database", database)
    path = Path(database)
    content = bytearray(path.read_bytes())
    content[18:20] = bytes([9, 1])
    path.write_bytes(content)

    result = subprocess.run(
        [str(Path(sys.executable).with_name("quartlogin")), "serve", "--database", database],
        env={**os.environ, "QUARTLOGIN_SECRET_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr == f"Error: Cannot use the database {database}: it is read-only.\n"
