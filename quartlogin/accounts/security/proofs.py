"""What a user has proved in a login and when, and what must have been proved.

A login's row has one line of text: `kind:time` for each proof, such as `password:1764278400 totp:1764278405`, with the
time of the latest one in seconds since 1970. An entry that cannot be read proves nothing.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from quartlogin import ConfigurationError

#: The user entered the account's password.
PASSWORD: Final = "password"  # noqa: S105 -- a kind of proof, not a password
#: The app signed the user in by itself, as after single sign-on; it says that the login is fresh, not why.
APP: Final = "app"

_KIND: Final = r"[a-z][a-z0-9_]{0,31}"
_NAME: Final = re.compile(_KIND)
#: A whole word: without the lookbehind, each letter of a long word would be tried as the first one.
_ENTRY: Final = re.compile(rf"(?<!\S)(?P<kind>{_KIND}):(?P<at>[0-9]{{1,15}})(?!\S)")

#: What the user has proved for the login that begins or is renewed now.
_proved: Final[ContextVar[tuple[str, ...]]] = ContextVar("quartlogin_proved", default=())


def check_kind(kind: str) -> None:
    """Check the name of a proof.

    Raises:
        ConfigurationError: It cannot be kept, or is the one for what the app does by itself.
    """
    if kind == APP or not _NAME.fullmatch(kind):
        raise ConfigurationError(
            f"A proof cannot be named {kind!r:.80}: use at most 32 small letters, digits and underscores, a letter "
            f"first, and not {APP!r}."
        )


@dataclass(frozen=True)
class Proofs:
    """The proofs of one login, each by its kind, with a time in seconds since 1970."""

    made: dict[str, int]

    @classmethod
    def read(cls, text: str) -> "Proofs":
        """Parse the line of text."""
        return cls({found["kind"]: int(found["at"]) for found in _ENTRY.finditer(text)})

    def write(self) -> str:
        """Return the line of text."""
        return " ".join(f"{kind}:{at}" for kind, at in self.made.items())

    def after(self, kinds: Iterable[str], now: int) -> "Proofs":
        """Return the proofs after some were made, in addition to earlier ones.

        Args:
            kinds: What was proved.
            now: Seconds since 1970.
        """
        return Proofs({**self.made, **dict.fromkeys(kinds, now)})

    def holds(self, kind: str, within: timedelta | None, now: float) -> bool:
        """Tell whether a proof was made.

        Args:
            kind: The kind.
            within: How long ago at most; `None` for any time in this login.
            now: Seconds since 1970.
        """
        at = self.made.get(kind)
        return at is not None and (within is None or now - at <= within.total_seconds())

    @property
    def latest_at(self) -> int | None:
        """When the latest proof was made, in seconds since 1970; `None` without any."""
        return max(self.made.values(), default=None)


@dataclass(frozen=True)
class Requirement:
    """What must have been proved in a login."""

    #: The alternatives: kinds of which one is enough. Empty: any.
    kinds: tuple[str, ...] = ()
    #: How long ago at most; `None` for any time in this login.
    within: timedelta | None = None

    def is_met(self, proofs: str, now: float) -> bool:
        """Tell whether a login meets it.

        Args:
            proofs: What was proved in the login, as `Proofs` writes it.
            now: Seconds since 1970.
        """
        held = Proofs.read(proofs)
        return any(held.holds(kind, self.within, now) for kind in self.kinds or held.made)


@contextmanager
def proving(*kinds: str) -> Iterator[None]:
    """Note what the user has just proved in the login that begins or is renewed in this block.

    Args:
        kinds: The names, as a feature's `proofs` has them.

    Raises:
        ConfigurationError: One cannot be kept.
    """
    for kind in kinds:
        check_kind(kind)
    token = _proved.set(kinds)
    try:
        yield
    finally:
        _proved.reset(token)


def proved_now() -> tuple[str, ...]:
    """Return the kinds of proof of the login that begins or is renewed now; none if the app does that by itself."""
    return _proved.get()
