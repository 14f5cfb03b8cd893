"""Which secrets of a remember cookie count: how one browser is told from two that have copies of its cookie.

Each use of a cookie replaces its secret. Requests of one browser run side by side, and answers get lost, so a secret
counts for some seconds after it was replaced, and whoever brings it then gets a secret of their own: the login has
several branches. One browser ends up on one of them. The others are closed as soon as one is used that long after they
began, or one of them has its secret replaced; whoever comes on a closed branch after another grace has a copy.

What is known of the secrets of a login is one line of text: `hash+time` for a branch that is open since then,
`hash-time` for a secret that was replaced then, `hash!time` for a branch that was closed then. A secret that is not in
it was used up longer ago.
"""

import re
from dataclasses import dataclass
from typing import Final

#: How long a secret counts after it was replaced or its branch was closed: seconds.
GRACE: Final = 30
#: More branches are not begun: whoever asks for so many in so short a time is no browser.
_MOST_BRANCHES: Final = 8
#: Nothing is replaced while so many were replaced or closed within the grace: the line would grow with each use.
_MOST_USED_UP: Final = 16
#: A whole word: without the look behind, each of 64 characters would be tried as the first one of a hash.
_ENTRY: Final = re.compile(r"(?<!\S)(?P<hash>[0-9a-f]{1,64})(?P<state>[-+!])(?P<at>[0-9]{1,15})(?!\S)")


@dataclass(frozen=True)
class RememberTokens:
    """The secrets of one login, each by its hash, with a time in seconds since 1970."""

    #: The branches that are open, and when they began.
    open: dict[str, int]
    #: What was replaced within the grace, and when.
    replaced: dict[str, int]
    #: The branches that were closed within the grace, and when.
    closed: dict[str, int]

    @classmethod
    def first(cls, secret: str | None, now: int) -> "RememberTokens":
        """Return what is known of a login that begins; without a secret it is not remembered."""
        return cls({} if secret is None else {secret: now}, {}, {})

    @classmethod
    def read(cls, text: str, now: int) -> "RememberTokens":
        """Read the line of text, and forget what was used up too long ago to count."""
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

    def counts(self, secret: str) -> bool:
        """Tell whether a browser with this secret may go on."""
        return secret in self.open or secret in self.replaced or secret in self.closed

    def after_replacing(self, secret: str, new: str, now: int) -> "RememberTokens | None":
        """Return what is known after a cookie with a secret that counts was used; `None` if it gets no new one."""
        if len(self.replaced) + len(self.closed) >= _MOST_USED_UP:
            return None
        if secret in self.open:
            others = {branch: now for branch in self.open if branch != secret}
            return RememberTokens({new: now}, {**self.replaced, secret: now}, {**self.closed, **others})
        if secret in self.replaced and len(self.open) < _MOST_BRANCHES:
            return RememberTokens({**self.open, new: self.replaced[secret]}, self.replaced, self.closed)
        return None

    def after_seeing(self, secret: str, now: int) -> "RememberTokens | None":
        """Return what is known after a session was seen that came with this secret; `None` if that is nothing new."""
        if secret not in self.open or len(self.open) == 1 or now - max(self.open.values()) <= GRACE:
            return None
        others = {branch: now for branch in self.open if branch != secret}
        return RememberTokens({secret: self.open[secret]}, self.replaced, {**self.closed, **others})
