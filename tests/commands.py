"""What a command printed."""

import re
from typing import Any


def error_of(done: Any) -> str:
    """Return the one sentence of a command that failed, or raise `AssertionError`."""
    assert done.exit_code == 1, done.exit_code
    assert re.fullmatch(r"Error: .+\n", done.stderr), done.stderr
    return str(done.stderr)


def numbers_in(text: str) -> list[int]:
    """Return the numbers of a sentence, in their order."""
    return [int(number) for number in re.findall(r"\d+", text)]
