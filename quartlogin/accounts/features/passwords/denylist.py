"""Which passwords are so common, or so obvious here, that whoever guesses tries them first."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

#: One casefolded password a line, sorted. All come from leaks; those of 15 characters and more stand in two collections
#: of them, or among the 500,000 most used of ten million.
_LIST: Final = Path(__file__).with_name("common_passwords.txt")

#: What people put between two words; none of it makes a password harder to guess.
_SEPARATORS: Final = re.compile(r"[\s._@+'/:-]+")
_SEPARATORS_AND_DIGITS: Final = re.compile(r"[\s._@+'/:\d-]+")

#: What is shorter is no word: "J. R. Hartley" is "jrhartley" and "hartley".
_SHORTEST_WORD: Final = 2


def is_common(password: str) -> bool:
    """Tell whether this is one of the passwords that many people use.

    The whole password is compared, in any case: a common one with something behind it is another password (NIST SP
    800-63B-4, 3.1.1.2; OWASP ASVS 5.0, 6.2.4). The first call reads the list, in 5 ms: 26,000 entries, 4 MB of memory.

    Args:
        password: The whole password, in NFC.
    """
    return password.casefold() in _common_passwords()


def is_context_specific(password: str, words: Iterable[str]) -> bool:
    """Tell whether a password is nothing but these words, and what people add to a word to make it longer.

    It is if it holds one of them and nothing is left, or one character over and over, once the words, all digits,
    spaces and `._-@+'/:` are taken out. Words count in any case, with their separators or without, and so do their
    parts: `alice.smith` and `example.org` make `AliceExample2024`, `smith-alice-smith` and `alicealice!!!!!`. A
    password that holds anything else is one of its own: the whole of it is compared (NIST SP 800-63B-4, 3.1.1.2,
    context-specific words; OWASP ASVS 5.0, 6.2.11).

    The time it takes grows with the password's length times that of all words: 0.1 ms for 1024 characters.

    Args:
        password: The whole password, in NFC.
        words: What anybody who guesses knows, such as the site's name and the person's username. In NFC.
    """
    spellings = sorted(set(_spellings(words)), key=len, reverse=True)
    if not spellings:
        return False
    any_word = "|".join(re.escape(spelling) for spelling in spellings)  # nothing repeats in it, so it is never slow
    rest, found = re.subn(any_word, "", _SEPARATORS.sub("", password.casefold()))
    return found > 0 and len(set(_SEPARATORS_AND_DIGITS.sub("", rest))) <= 1


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_LIST.read_text(encoding="utf-8").splitlines())


def _spellings(words: Iterable[str]) -> Iterator[str]:
    """List each word without its separators, and its parts."""
    for word in words:
        folded = word.casefold()
        for spelling in (_SEPARATORS.sub("", folded), *_SEPARATORS_AND_DIGITS.split(folded)):
            if len(spelling) >= _SHORTEST_WORD:
                yield spelling
