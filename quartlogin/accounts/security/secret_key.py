"""The secret key: where it comes from when nobody brings one, and how it is replaced."""

import hmac
import os
import stat
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Final

from quartlogin import secret_key_weakness

_NEW_KEY_BYTES: Final = 48
_LONGEST_FILE: Final = 4096  # bytes
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HOW_TO_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

NO_KEY: Final = f"There is no SECRET_KEY: set QUARTLOGIN_SECRET_KEY; {_HOW_TO_MAKE_ONE}"


def derive_key(secret_key: str, purpose: bytes) -> bytes:
    """Derive a key for one purpose from the secret key (HMAC-SHA-256)."""
    return hmac.digest(secret_key.encode(), purpose, "sha256")


def new_key() -> str:
    """Make a strong key."""
    return token_urlsafe(_NEW_KEY_BYTES)


def key_file(database: str) -> Path:
    """Return where the key that goes with a database file is kept."""
    return Path(f"{database}.secret-key")


def read_or_make(path: Path) -> tuple[tuple[str, ...], bool]:
    """Return the keys that are kept in this file, the present one first, and whether it was made just now.

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
            file.write(new_key())
        path.hardlink_to(draft)  # all or nothing, and never over another's key
    except FileExistsError:
        return _read(path), False
    finally:
        draft.unlink()
    return _read(path), True


def rotate(path: Path, former: int) -> tuple[str, ...]:
    """Put a new key into a file in front of those that are kept there.

    Whatever stops it, the file has the old keys or the new ones. What the old ones have signed counts for as long as
    they are kept.

    Args:
        path: The file.
        former: How many former keys to keep.

    Returns:
        All keys, the new one first.

    Raises:
        OSError: The file cannot be read or written, or somebody else is rotating at this moment.
        ValueError: What it holds is no strong key.
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
    """Read keys that nobody else can have written or read."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
            raise ValueError(
                f"The secret key in {path} has to be a file of your own that nobody else can use: chmod 600."
            )
        kept = tuple(file.read(_LONGEST_FILE).decode("ascii", "replace").split()) or ("",)
    for key in kept:
        if complaint := secret_key_weakness(key):
            raise ValueError(f"The secret key in {path} {complaint}")
    return kept
