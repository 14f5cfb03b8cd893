"""Count the CPU instructions of a logged-in page, ours and the floor's, which hardly depend on other load.

It runs each app under valgrind's callgrind twice, with and without pages. The clock is held, and threads switch only
where they wait, so that a slow run counts no more than a quick one.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from driving import asks, serving, time_of
from floor import make_floor
from ours import make_ours
from people import cookie_of_floor, cookie_of_login, fill

_PEOPLE: Final = 100
_PAGES: Final = 200
_COUNTED: Final = re.compile(r"Collected : (\d+)")


def main() -> None:
    """Print both counts and their ratio."""
    if len(sys.argv) > 1:
        asyncio.run(_ask(sys.argv[1], int(sys.argv[2])))
        return
    ours, floor = _per_page("ours"), _per_page("floor")
    print(f"logged-in page, 1 at a time, instructions   {ours / floor:.3f}   {ours:,.0f} / {floor:,.0f}")


def _per_page(app: str) -> float:
    return (_count(app, _PAGES) - _count(app, 0)) / _PAGES


def _count(app: str, pages: int) -> int:
    with tempfile.NamedTemporaryFile() as log:
        counter = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log.name}"]
        command = [*counter, sys.executable, __file__, app, str(pages)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
        found = _COUNTED.search(Path(log.name).read_text())
    if found is None:
        raise SystemExit("valgrind counted nothing.")
    return int(found[1])


async def _ask(which: str, pages: int) -> None:
    """Request pages of one app, after some that both runs request, so that they are not counted."""
    sys.setswitchinterval(60)
    now = time.time()
    time.time = lambda: now
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, _PEOPLE, _PEOPLE)
        app, make_cookie = (
            (make_ours(database), cookie_of_login) if which == "ours" else (make_floor(database), cookie_of_floor)
        )
        cookies = [f"session={make_cookie(app, number, _PEOPLE)}" for number in range(_PEOPLE)]
        async with serving(app):
            ask = asks(app, "/home", cookies)
            await time_of(ask, _PEOPLE, 1)
            if pages:
                await time_of(ask, pages, 1)


if __name__ == "__main__":
    main()
