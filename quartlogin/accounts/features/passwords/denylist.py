"""The password denylist: common passwords, and words that are obvious at this site."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

#: One casefolded password per line, sorted. All come from leaks; those of 15 characters and more are in two collections
#: of them, or among the 500,000 most used of ten million.
_LIST: Final = Path(__file__).with_name("common_passwords.txt")

#: Separators between two words, which make a password no harder to guess.
_SEPARATORS: Final = re.compile(r"[\s._@+'/:-]+")
_SEPARATORS_AND_DIGITS: Final = re.compile(r"[\s._@+'/:\d-]+")

#: Anything shorter is no word: "J. R. Hartley" is "jrhartley" and "hartley".
_MIN_WORD_LENGTH: Final = 2


def is_common(password: str) -> bool:
    """Tell whether this is a common password.

    The whole password is compared, in any case: a common one with a suffix is another password (NIST SP 800-63B-4,
    3.1.1.2; OWASP ASVS 5.0, 6.2.4). The first call reads the list, in 5 ms: 26,000 entries, 4 MB of memory.

    Args:
        password: The whole password, in NFC.
    """
    return password.casefold() in _common_passwords()


def is_context_specific(password: str, words: Iterable[str]) -> bool:
    """Tell whether a password consists only of these words and of what people append to lengthen a word.

    It does if it contains one of them and nothing is left, or one character repeated, once the words, all digits,
    spaces and `._-@+'/:` are removed. Words match in any case, with or without their separators, and so do their
    parts: `alice.smith` and `example.org` match `AliceExample2024`, `smith-alice-smith` and `alicealice!!!!!`. A
    password that contains anything else does not match: the whole of it is compared (NIST SP 800-63B-4, 3.1.1.2,
    context-specific words; OWASP ASVS 5.0, 6.2.11).

    The time grows with the product of the password's length and the length of all words: 0.1 ms for 1024 characters.

    Args:
        password: The whole password, in NFC.
        words: Words that an attacker knows, such as the site's name and the username. In NFC.
    """
    spellings = sorted(set(_spellings(words)), key=len, reverse=True)
    if not spellings:
        return False
    any_word = "|".join(re.escape(spelling) for spelling in spellings)  # no repetition in it, so it is never slow
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
            if len(spelling) >= _MIN_WORD_LENGTH:
                yield spelling
