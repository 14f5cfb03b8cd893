"""What browsers are called on the account page."""

import pytest

from quartlogin.webapp.browsers import COMMAND_LINE, in_words

MOST_SIGN_INS = 1000  # the highest LOGINS_PER_USER
EVENTS = 20
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.mark.parametrize(
    ("browser", "words"),
    [
        (FIREFOX, "Firefox 128 on Linux"),
        ("curl/8.5.0", "curl 8"),
        ("", "Unknown browser"),
        ("\U0001f98a" * 256, "Unknown browser"),
        (COMMAND_LINE, "Command line"),
    ],
)
def test_a_browser_and_its_system_are_told_in_words(browser: str, words: str) -> None:
    assert in_words(browser) == words


def test_the_largest_account_page_is_looked_up_once() -> None:
    browsers = [f"{FIREFOX} {number}" for number in range(MOST_SIGN_INS + EVENTS)]
    in_words.cache_clear()

    shown = [[in_words(browser) for browser in browsers] for _ in range(2)]

    assert shown[0] == shown[1]
    assert in_words.cache_info().misses == len(browsers)
