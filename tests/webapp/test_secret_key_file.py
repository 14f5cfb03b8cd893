"""The secret key that `serve` keeps beside the database."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quartlogin import secret_key_weakness
from quartlogin.accounts.security.secret_key import read_or_create


def test_a_key_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "key"

    first, is_new = read_or_create(path)
    second, is_new_again = read_or_create(path)

    assert first == second
    assert (is_new, is_new_again) == (True, False)
    assert secret_key_weakness(first[0]) is None


@pytest.mark.requirement("13.3.1")
def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"

    read_or_create(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_many_that_start_together_end_up_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        keys = {key for key, _ in threads.map(read_or_create, [tmp_path / "key"] * 64)}

    assert len(keys) == 1


def test_a_weak_key_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    path.chmod(0o600)

    with pytest.raises(ValueError, match="is too short"):
        read_or_create(path)


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.requirement("11.2.3")
@pytest.mark.parametrize("key", ["", "x" * 31, "x" * 100, "123456789" * 5])
def test_a_guessable_key_is_weak(key: str) -> None:
    assert secret_key_weakness(key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    read_or_create(path)
    path.chmod(mode)

    with pytest.raises(ValueError, match=r"chmod 600\.$"):
        read_or_create(path)


def test_a_key_that_is_no_file_of_its_own_is_refused(tmp_path: Path) -> None:
    read_or_create(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(OSError, match="link"):
        read_or_create(tmp_path / "link")
    with pytest.raises(ValueError, match="regular file"):
        read_or_create(tmp_path / "pipe")


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.parametrize(
    "key",
    [
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
        "django-insecure-0123456789abcdefghijklmnopqrstuvw",
        "ChangeMe-0123456789abcdefghijklmnopqrstuvw",
        "your-secret-key-0123456789abcdefghijklmnop",
    ],
)
def test_a_key_from_an_example_is_refused(key: str) -> None:
    assert "example" in (secret_key_weakness(key) or "")
