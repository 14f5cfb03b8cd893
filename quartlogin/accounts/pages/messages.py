"""Messages that several pages show."""

from typing import Final

WRONG_PASSWORD: Final = "The password is not correct."  # noqa: S105 -- a sentence
BREACHED_PASSWORD: Final = "This password appears in a data breach, so it is easy to guess. Choose a different one."  # noqa: S105 -- a sentence


def in_a_sentence(label: str) -> str:
    """Return a label as it stands within a sentence: "e-mail address" for "E-mail address", but "ID" as it is."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]
