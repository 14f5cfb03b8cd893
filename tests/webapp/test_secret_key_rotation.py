"""Secret key rotation, which keeps logins valid."""

import asyncio
import json
import os
import shlex
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client import Visitor, with_cheap_hashes
from commands import error_of
from quartlogin import secret_key_weakness
from quartlogin.accounts.security.secret_key import key_file, read_or_create, rotate
from quartlogin.webapp import create_app
from quartlogin.webapp.cli import main

OLD = "an old key, which also has more than 32 characters"
OLDER = "an older key, which too has more than 32 characters"


def test_a_rotation_puts_a_new_key_before_the_former_two(tmp_path: Path) -> None:
    path = tmp_path / "key"
    (first,), _ = read_or_create(path)

    (second, *_), (third, *_), fourth = (rotate(path, 2) for _ in range(3))

    assert fourth[1:] == (third, second)
    assert first not in fourth
    assert read_or_create(path) == (fourth, False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_rotation_that_fails_leaves_the_key_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    kept, _ = read_or_create(path)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        rotate(path, 2)

    assert read_or_create(path) == (kept, False)
    assert list(tmp_path.iterdir()) == [path]


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environment)


@pytest.mark.requirement("V6")
@pytest.mark.requirement("11.2.2", "13.3.4")
async def test_logins_survive_two_key_rotations(tmp_path: Path) -> None:
    database = str(tmp_path / "people.sqlite3")
    kept, _ = read_or_create(key_file(database))
    cookies: dict[str, str] = {}
    for number in range(4):
        settings = {"DATABASE": database, "SECRET_KEY": kept[0], "SECRET_KEY_FALLBACKS": list(kept[1:])}
        app = with_cheap_hashes(create_app(**settings))
        async with app.test_app():
            if not cookies:
                visitor = Visitor(app.test_client())
                await visitor.register("Alice")
                cookies = visitor.cookies
            header = "; ".join(f"{name}={value}" for name, value in cookies.items())
            answer = await app.test_client(use_cookies=False).get("/account", headers={"Cookie": header})
        assert (answer.status_code == 200) is (number < 3)  # the third rotation drops the key that signed
        done = await asyncio.to_thread(run, "secret", "rotate", "--database", database)
        assert (done.exit_code, "Restart the service" in done.stdout) == (0, True)
        assert kept[0] not in done.output
        kept, _ = read_or_create(key_file(database))


@pytest.mark.requirement("V6")
def test_a_key_that_got_out_is_forgotten(tmp_path: Path) -> None:
    database = str(tmp_path / "people.sqlite3")
    former, _ = read_or_create(key_file(database))

    done = run("secret", "rotate", "--forget", "--database", database)

    assert "signed out" in done.stdout
    kept, _ = read_or_create(key_file(database))
    assert len(kept) == 1
    assert kept != former


@pytest.mark.parametrize(("options", "fallbacks"), [([], [OLD, OLDER]), (["--forget"], [])])
def test_a_key_of_the_environment_is_not_replaced_but_printed(
    tmp_path: Path, options: list[str], fallbacks: list[str]
) -> None:
    environment = {"QUARTLOGIN_SECRET_KEY": OLD, "QUARTLOGIN_SECRET_KEY_FALLBACKS": json.dumps([OLDER, OLD + "0"])}

    done = run("secret", "rotate", "--database", str(tmp_path / "people.sqlite3"), *options, **environment)

    key, former = (shlex.split(line)[0] for line in done.stdout.splitlines())
    assert secret_key_weakness(key.removeprefix("QUARTLOGIN_SECRET_KEY=")) is None
    assert json.loads(former.removeprefix("QUARTLOGIN_SECRET_KEY_FALLBACKS=")) == fallbacks
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database", ["nowhere.sqlite3", "postgresql://127.0.0.1:1/people"])
def test_without_a_key_there_is_nothing_to_rotate(tmp_path: Path, database: str) -> None:
    done = run("secret", "rotate", "--database", database if ":" in database else str(tmp_path / database))

    assert done.stdout == ""
    assert "secret key" in error_of(done)


def test_two_rotations_at_once_are_one(tmp_path: Path) -> None:
    database = str(tmp_path / "people.sqlite3")
    kept, _ = read_or_create(key_file(database))
    Path(f"{key_file(database)}.new").touch()

    done = run("secret", "rotate", "--database", database)

    assert "rotation" in error_of(done)
    assert read_or_create(key_file(database)) == (kept, False)


@pytest.mark.parametrize("fault", ["readable by others", "a link"])
@pytest.mark.parametrize(
    "command",
    [["secret", "rotate"], ["token", "create", "alice"], ["serve"]],
    ids=lambda words: words[0],
)
def test_a_key_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, command: list[str], fault: str) -> None:
    database = str(tmp_path / "people.sqlite3")
    path = key_file(database)
    (key,), _ = read_or_create(path)
    if fault == "a link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.chmod(0o640)

    done = run(*command, "--database", database)

    assert error_of(done).count(str(path)) == 1
    assert "Errno" not in done.stderr
    assert key not in done.output
