"""The secret key: where it comes from when nobody brings one, and which are too weak to be one."""

import os
import stat
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Final

_MIN_LENGTH: Final = 32  # characters
_MIN_DIFFERENT: Final = 10  # characters; a key of one letter is long, too
_NEW_KEY_BYTES: Final = 48
_LONGEST_FILE: Final = 4096  # bytes
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HOW_TO_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

NO_KEY: Final = f"There is no SECRET_KEY: set QUARTLOGIN_SECRET_KEY; {_HOW_TO_MAKE_ONE}"


def weakness(key: str) -> str | None:
    """Say what is wrong with a secret key, as the end of a sentence; `None` if it is strong (ASVS 5.0 11.2.3)."""
    if len(key) < _MIN_LENGTH:
        return f"is too short: it has {len(key)} characters and needs at least {_MIN_LENGTH}; {_HOW_TO_MAKE_ONE}"
    if len(set(key)) < _MIN_DIFFERENT:
        return f"is too simple: it needs at least {_MIN_DIFFERENT} different characters; {_HOW_TO_MAKE_ONE}"
    return None


def key_file(database: str) -> Path:
    """Return where the key that goes with a database file is kept."""
    return Path(f"{database}.secret-key")


def read_or_make(path: Path) -> tuple[str, bool]:
    """Return the key that is kept in this file, and whether it was made just now.

    The file is readable by its owner only. Two processes that start together end up with the same key.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: What it holds is no strong key.
    """
    if path.exists():
        return _read(path), False
    draft = path.with_name(f"{path.name}.{token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token_urlsafe(_NEW_KEY_BYTES))
        path.hardlink_to(draft)  # all or nothing, and never over another's key
    except FileExistsError:
        return _read(path), False
    finally:
        draft.unlink()
    return _read(path), True


def _read(path: Path) -> str:
    """Read a key that nobody else can have written or read."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
            raise ValueError(
                f"The secret key in {path} has to be a file of your own that nobody else can use: chmod 600."
            )
        key = file.read(_LONGEST_FILE).decode("ascii", "replace").strip()
    if complaint := weakness(key):
        raise ValueError(f"The secret key in {path} {complaint}")
    return key
