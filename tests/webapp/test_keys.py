"""The secret key that `serve` keeps beside the database."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quartlogin.webapp.keys import read_or_make, weakness


def test_a_key_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "key"

    first, is_new = read_or_make(path)
    second, is_new_again = read_or_make(path)

    assert first == second
    assert (is_new, is_new_again) == (True, False)
    assert weakness(first) is None


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"

    read_or_make(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_many_that_start_together_end_up_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        keys = {key for key, _ in threads.map(read_or_make, [tmp_path / "key"] * 64)}

    assert len(keys) == 1


def test_a_weak_key_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret")

    with pytest.raises(ValueError, match="is too short"):
        read_or_make(path)


@pytest.mark.parametrize("key", ["", "x" * 31, "x" * 100, "123456789" * 5])
def test_a_guessable_key_is_weak(key: str) -> None:
    assert weakness(key)
