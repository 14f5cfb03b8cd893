"""Which secrets of a remembered login count: the present one, and those that were replaced a moment ago."""

from typing import Final

#: How long a secret counts after it was replaced: requests run side by side, and answers get lost. Seconds.
GRACE: Final = 30


def used_now(used: str, secret_hash: str, now: int) -> str:
    """Return what to keep of the former secrets when this one is replaced now.

    Args:
        used: What was kept so far.
        secret_hash: The hash of the secret that is replaced.
        now: Seconds since 1970.
    """
    return " ".join([*(f"{former}@{at}" for former, at in _recent(used, now)), f"{secret_hash}@{now}"])


def was_used_just_now(used: str, secret_hash: str, now: int) -> bool:
    """Tell whether this secret was replaced so short a time ago that it counts still."""
    return any(former == secret_hash for former, _ in _recent(used, now))


def _recent(used: str, now: int) -> list[tuple[str, int]]:
    pairs = (entry.split("@") for entry in used.split())
    return [(former, int(at)) for former, at in pairs if now - int(at) <= GRACE]
