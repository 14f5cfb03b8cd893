"""The command line, apart from a running server."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client import KEY, PASSWORD
from commands import error_of
from databases import run_sql
from quartlogin.webapp.cli import main


def run(*arguments: str, typed: str = "", environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed, env=environment or {})


def usernames(database: str) -> list[str]:
    return [name for (name,) in run_sql(database, "SELECT username FROM quartlogin_users")]


def test_init_db_creates_the_database(database: str) -> None:
    result = run("init-db", "--database", database)

    assert result.exit_code == 0
    assert database in result.output
    assert usernames(database) == []


def test_the_database_may_be_named_in_the_environment(database: str) -> None:
    result = run("init-db", environment={"QUARTLOGIN_DATABASE": database})

    assert result.exit_code == 0
    assert Path(database).exists()


def test_user_create_asks_for_the_password_twice(database: str) -> None:
    result = run("user", "create", "Alice", "--database", database, typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert "'Alice'" in result.output
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

    assert "'ALICE'" in error_of(result)
    assert usernames(database) == ["Alice"]


@pytest.mark.parametrize(
    ("name", "password", "told"),
    [
        ("", PASSWORD, r"''.*\b1 to 64\b"),
        ("a\u200bb", PASSWORD, "username"),
        ("Alice", "short", r"\b15\b.*\b5\b"),
        ("Alice", "x" * 1025, r"\b1024\b.*\b1025\b"),
        ("Alice", "manchesterunited", "common"),
        ("alice in wonderland", "Alice in Wonderland 2026", "your username"),
        ("Alice", "", r"\b15\b.*\b0\b"),
    ],
)
def test_a_bad_name_or_password_is_one_sentence(database: str, name: str, password: str, told: str) -> None:
    result = run("user", "create", name, "--password-stdin", "--database", database, typed=password)

    assert re.search(told, error_of(result))
    assert not Path(database).exists()


def test_a_password_that_is_not_utf_8_is_one_sentence(database: str) -> None:
    result = CliRunner().invoke(main, ["user", "create", "Alice", "--password-stdin", "--database", database], b"\xff")

    assert "UTF-8" in error_of(result)


@pytest.mark.parametrize("command", [["init-db"], ["user", "create", "Alice", "--password-stdin"], ["serve"]])
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    other = tmp_path / "other.sqlite3"
    run_sql(other, "CREATE TABLE theirs (id INTEGER)")

    result = run(*command, "--database", str(other), typed=PASSWORD)

    assert list(tmp_path.iterdir()) == [other]
    assert f"{other} " in error_of(result)


def test_a_setting_with_a_typo_is_one_sentence() -> None:
    result = run("init-db", environment={"QUARTLOGIN_DATABSE": "x"})

    assert re.search(r"\bQUARTLOGIN_DATABSE\b.*\bQUARTLOGIN_DATABASE\b", error_of(result))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_serving_others_needs_a_secret_key(database: str, host: str) -> None:
    result = run("serve", "--host", host, "--database", database)

    assert re.search(r"\bQUARTLOGIN_SECRET_KEY\b.*\bpython3\b", error_of(result))
    assert not Path(database).exists()


def test_a_port_that_is_taken_is_one_sentence(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port), "--database", database, environment={"QUARTLOGIN_SECRET_KEY": KEY})

    assert f"127.0.0.1:{port}:" in error_of(result)


def test_help_gives_examples() -> None:
    assert "\n  quartlogin user create alice  " in run("--help").output
    assert "| quartlogin user create alice --password-stdin\n" in run("user", "create", "--help").output


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
    assert re.fullmatch(rf"Error: .*{re.escape(database)}: .*\bread-only\b.*\n", result.stderr)
