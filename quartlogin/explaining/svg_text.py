"""Text in an SVG: escaped, measured, wrapped."""

import re
import unicodedata
from html import escape
from typing import Final

#: Characters that XML forbids, and those that change the direction of the text around them.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_NARROW: Final = frozenset("ijltfrI.,:;'|!()[]{}/ ")
_WIDE: Final = frozenset("mwMW@%—…→")
_ELLIPSIS: Final = "…"


def clean(text: str) -> str:
    """Return a text as content of XML."""
    return escape(_FORBIDDEN.sub("\ufffd", text), quote=True)


def width_of(text: str) -> float:
    """Estimate the width of a text in a sans-serif font, on the wide side, in units of the font's size."""
    return sum(map(_width_of_character, text))


def wrap(text: str, width: float, most: int) -> list[str]:
    """Break a text into lines.

    Args:
        text: The text.
        width: The most of a line, in units of the font's size.
        most: The most lines; the last one ends with an ellipsis if there would be more.
    """
    lines = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".strip()
        if width_of(candidate) <= width:
            lines[-1] = candidate
            continue
        parts = _break(word, width)
        lines = [*lines, *parts] if lines[-1] else parts
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(lines[most - 1], width)]
    return lines


def _width_of_character(character: str) -> float:
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.0
    if character in _NARROW:
        return 0.38
    return 0.9 if character in _WIDE else 0.7 if character.isupper() else 0.6


def _break(word: str, width: float) -> list[str]:
    """Break a word that is longer than a line."""
    lines, line = [], ""
    for character in word:
        if line and width_of(line + character) > width:
            lines.append(line)
            line = ""
        line += character
    return [*lines, line]


def _cut(line: str, width: float) -> str:
    while width_of(line + _ELLIPSIS) > width:
        line = line[:-1]
    return line + _ELLIPSIS
