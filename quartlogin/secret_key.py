"""Weak secret keys, and the warning about them."""

from logging import getLogger
from typing import Any, Final
from unicodedata import normalize

from quart import Quart

_HOW_TO_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
#: The minimum length: characters of a text, bytes of a key in bytes; a key of one repeated letter is long, too.
_SHORTEST: Final = {str: 32, bytes: 16}
_FEWEST_DIFFERENT: Final = {str: 10, bytes: 8}

#: Keys from Flask's documentation, and so in many programs; letters and digits only, as they are compared.
_PUBLISHED: Final = frozenset(
    {
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
        "5y2lf4q8zì",  # b'_5#y2L"F4Q8z\\n\\xec]/', which Flask's quickstart had for years
    }
)
#: What examples write in place of a key, this package's included.
_OF_EXAMPLES: Final = (
    *("changeme", "changethis", "replaceme", "insecure", "yoursecret", "supersecret", "topsecret", "alongrandomtext"),
    *("secretstokenurlsafe", "thisisasecret", "secretkeyhere", "donottellanyone"),
)
_log = getLogger("quartlogin")


def secret_key_weakness(key: str | bytes) -> str | None:
    """Return what is wrong with a secret key, as the end of a sentence; `None` if it is strong (ASVS 5.0 11.2.3).

    A key from an example is recognized regardless of case, spaces and punctuation.

    Args:
        key: The key; at least 32 characters of text, or 16 random bytes.
    """
    kind: Any = str if isinstance(key, str) else bytes
    bare = _letters_and_digits(key if isinstance(key, str) else key.decode("latin-1"))
    if bare in _PUBLISHED or any(words in bare for words in _OF_EXAMPLES):
        return f"is one from an example, which everybody knows; {_HOW_TO_MAKE_ONE}"
    if len(key) < _SHORTEST[kind]:
        unit = "characters" if kind is str else "bytes"
        return f"is too short: it has {len(key)} {unit} and needs at least {_SHORTEST[kind]}; {_HOW_TO_MAKE_ONE}"
    if len(set(key)) < _FEWEST_DIFFERENT[kind]:
        return f"is too simple: it needs at least {_FEWEST_DIFFERENT[kind]} different characters; {_HOW_TO_MAKE_ONE}"
    return None


def warn_of_weak_keys(app: Quart) -> None:
    """Log a warning for each weak key of an app that is about to be served, except in tests."""
    if app.testing:
        return
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    for name, keys in (("SECRET_KEY", [app.secret_key]), ("SECRET_KEY_FALLBACKS", fallbacks)):
        for key in keys:
            complaint = secret_key_weakness(key) if key and isinstance(key, str | bytes) else None
            if complaint:
                _log.warning("%s: anybody may sign in as anybody: %s %s", app.name, name, complaint)


def _letters_and_digits(text: str) -> str:
    return "".join(character for character in normalize("NFKC", text).casefold() if character.isalnum())
