"""Compare the cost of login on a page with the leanest app that does the same by hand.

python benchmarks/pages.py [--small]
"""

import asyncio
import sys
import tempfile

from driving import Ask, asks, compare, page, serving
from floor import make_floor
from ours import make_ours
from people import cookie_of_floor, cookie_of_login, fill


async def main() -> None:
    # Signed-in browsers take turns.
    people, rounds, requests = (128, 7, 256) if "--small" in sys.argv else (2_000, 61, 512)
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, people, people)
        floor, ours = make_floor(database), make_ours(database)
        there = [f"session={cookie_of_floor(floor, number, people)}" for number in range(people)]
        here = [f"session={cookie_of_login(ours, number, people)}" for number in range(people)]
        rows: dict[str, tuple[Ask, Ask, int]] = {
            "public page, no cookies": (asks(ours, "/public"), asks(floor, "/public"), 1),
            "public page, session cookie": (asks(ours, "/public", here), asks(floor, "/public", there), 1),
            "logged-in page, 1 at a time": (asks(ours, "/home", here), asks(floor, "/home", there), 1),
            "logged-in page, 32 at a time": (asks(ours, "/home", here), asks(floor, "/home", there), 32),
        }
        async with serving(floor, ours):
            assert "Hello, user1" in await page(ours, "/home", here[1])
            assert "Hello, user1" in await page(floor, "/home", there[1])
            for name, (mine, other, at_a_time) in rows.items():
                result = await compare(mine, other, rounds=rounds, requests=requests, at_a_time=at_a_time)
                print(f"{name:32}{result}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
