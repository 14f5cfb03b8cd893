"""The secret key file: creating, reading and rotating it."""

import hmac
import os
import stat
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Final

from quartlogin import secret_key_weakness

_NEW_KEY_BYTES: Final = 48
_MAX_FILE_SIZE: Final = 4096  # bytes
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HOW_TO_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

NO_KEY: Final = f"There is no SECRET_KEY. Set QUARTLOGIN_SECRET_KEY; {_HOW_TO_MAKE_ONE}"
APP_WITHOUT_KEY: Final = f'The app has no secret key. Set app.config["SECRET_KEY"]; {_HOW_TO_MAKE_ONE}'


def derive_key(secret_key: str | bytes, purpose: bytes) -> bytes:
    """Derive a key for one purpose from the secret key (HMAC-SHA-256)."""
    return hmac.digest(secret_key.encode() if isinstance(secret_key, str) else secret_key, purpose, "sha256")


def new_key() -> str:
    """Create a random secret key."""
    return token_urlsafe(_NEW_KEY_BYTES)


def key_file(database: str) -> Path:
    """Return the path of the key file that belongs to a database file."""
    return Path(f"{database}.secret-key")


def read_or_create(path: Path) -> tuple[tuple[str, ...], bool]:
    """Return the keys in this file, the current one first, and whether the file was created just now.

    The file is readable by its owner only. Two processes that start together end up with the same key.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: It contains no strong key.
    """
    if path.exists():
        return _read(path), False
    draft = path.with_name(f"{path.name}.{token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(new_key())
        path.hardlink_to(draft)  # all or nothing, and never overwriting another key
    except FileExistsError:
        return _read(path), False
    finally:
        draft.unlink()
    return _read(path), True


def rotate(path: Path, former: int) -> tuple[str, ...]:
    """Add a new key to a file, in front of those that it contains.

    Even if it is interrupted, the file contains the old keys or the new ones. Signatures of former keys stay valid for
    as long as these are keys.

    Args:
        path: The file.
        former: How many former keys to keep.

    Returns:
        All keys, the new one first.

    Raises:
        OSError: The file cannot be read or written, or another process is rotating it.
        ValueError: It contains no strong key.
    """
    rotated = (new_key(), *_read(path))[: 1 + former]
    draft = path.with_name(f"{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("\n".join(rotated))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return rotated


def _read(path: Path) -> tuple[str, ...]:
    """Read keys that no other user can have written or read."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
            raise ValueError(f"The secret key file {path} must be a regular file that only you can use: chmod 600.")
        keys = tuple(file.read(_MAX_FILE_SIZE).decode("ascii", "replace").split()) or ("",)
    for key in keys:
        if weakness := secret_key_weakness(key):
            raise ValueError(f"The secret key in {path} {weakness}")
    return keys
