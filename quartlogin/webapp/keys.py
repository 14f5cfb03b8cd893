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

#: Keys that stand in the documentation of Flask, so in many programs.
_PUBLISHED: Final = frozenset(
    {
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
    }
)
_OF_EXAMPLES: Final = ("changeme", "change-me", "change_me", "insecure", "your-secret", "your_secret", "yoursecret")

NO_KEY: Final = f"There is no SECRET_KEY: set QUARTLOGIN_SECRET_KEY; {_HOW_TO_MAKE_ONE}"


def new_key() -> str:
    """Make a strong key."""
    return token_urlsafe(_NEW_KEY_BYTES)


def weakness(key: str) -> str | None:
    """Say what is wrong with a secret key, as the end of a sentence; `None` if it is strong (ASVS 5.0 11.2.3)."""
    if key in _PUBLISHED or any(word in key.lower() for word in _OF_EXAMPLES):
        return f"is one from an example, which everybody knows; {_HOW_TO_MAKE_ONE}"
    if len(key) < _MIN_LENGTH:
        return f"is too short: it has {len(key)} characters and needs at least {_MIN_LENGTH}; {_HOW_TO_MAKE_ONE}"
    if len(set(key)) < _MIN_DIFFERENT:
        return f"is too simple: it needs at least {_MIN_DIFFERENT} different characters; {_HOW_TO_MAKE_ONE}"
    return None


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
        if complaint := weakness(key):
            raise ValueError(f"The secret key in {path} {complaint}")
    return kept
