"""Messages that several pages show."""

from typing import Final

WRONG_PASSWORD: Final = "The password is not correct."  # noqa: S105 -- a sentence
BREACHED_PASSWORD: Final = "This password appears in a data breach, so it is easy to guess. Choose a different one."  # noqa: S105 -- a sentence
