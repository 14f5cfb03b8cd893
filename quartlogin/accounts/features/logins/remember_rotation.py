"""Remember-me token rotation: detects a second browser with a copy of the cookie.

Each use of a remember cookie replaces its secret. Requests of one browser run concurrently, and responses get lost, so
a secret stays valid for some seconds after it was replaced, and a request with it gets another secret: the login
branches. One browser ends up on one branch. The others are closed as soon as one of them is used, or has its secret
replaced, that long after they began; a request on a closed branch after another grace period has a copy.

The state of a login's secrets is one line of text: `hash+time` for a branch that is open since then, `hash-time` for a
secret that was replaced then, `hash!time` for a branch that was closed then. A secret that is missing was used up
earlier.
"""

import re
from dataclasses import dataclass
from typing import Final

#: The grace period: seconds for which a secret is valid after it was replaced or its branch was closed.
GRACE: Final = 30
#: No further branches begin: a client that requests so many in so short a time is not a browser.
_MAX_BRANCHES: Final = 8
#: Nothing is replaced while so many were replaced or closed within the grace period: the line would grow with each use.
_MAX_USED_UP: Final = 16
#: A whole word: without the lookbehind, each of 64 characters would be tried as the first one of a hash.
_ENTRY: Final = re.compile(r"(?<!\S)(?P<hash>[0-9a-f]{1,64})(?P<state>[-+!])(?P<at>[0-9]{1,15})(?!\S)")


@dataclass(frozen=True)
class RememberTokens:
    """The secrets of one login, each by its hash, with a time in seconds since 1970."""

    #: The open branches, and when they began.
    open: dict[str, int]
    #: The secrets replaced within the grace period, and when.
    replaced: dict[str, int]
    #: The branches closed within the grace period, and when.
    closed: dict[str, int]

    @classmethod
    def first(cls, secret: str, now: int) -> "RememberTokens":
        """Return the state of a new login."""
        return cls({secret: now}, {}, {})

    @classmethod
    def read(cls, text: str, now: int) -> "RememberTokens":
        """Parse the line of text, dropping entries whose grace period is over."""
        entries = [(found["hash"], found["state"], int(found["at"])) for found in _ENTRY.finditer(text)]
        return cls(
            {secret: at for secret, state, at in entries if state == "+"},
            {secret: at for secret, state, at in entries if state == "-" and now - at <= GRACE},
            {secret: at for secret, state, at in entries if state == "!" and now - at <= GRACE},
        )

    def write(self) -> str:
        """Return the line of text."""
        states = (("+", self.open), ("-", self.replaced), ("!", self.closed))
        return " ".join(f"{secret}{state}{at}" for state, secrets in states for secret, at in secrets.items())

    def is_valid(self, secret: str) -> bool:
        """Tell whether a secret is valid."""
        return secret in self.open or secret in self.replaced or secret in self.closed

    def after_replacing(self, secret: str, new: str, now: int) -> "RememberTokens | None":
        """Return the state after a cookie with a valid secret was used; `None` if it gets no new secret."""
        if len(self.replaced) + len(self.closed) >= _MAX_USED_UP:
            return None
        if secret in self.open:
            others = {branch: now for branch in self.open if branch != secret}
            return RememberTokens({new: now}, {**self.replaced, secret: now}, {**self.closed, **others})
        if secret in self.replaced and len(self.open) < _MAX_BRANCHES:
            return RememberTokens({**self.open, new: self.replaced[secret]}, self.replaced, self.closed)
        return None

    def after_seeing(self, secret: str, now: int) -> "RememberTokens | None":
        """Return the state after a session of this secret was seen; `None` if nothing changes."""
        if secret not in self.open or len(self.open) == 1 or now - max(self.open.values()) <= GRACE:
            return None
        others = {branch: now for branch in self.open if branch != secret}
        return RememberTokens({secret: self.open[secret]}, self.replaced, {**self.closed, **others})
