"""What login costs a page, beside the leanest app that does the same.

python benchmarks/pages.py [--small]
"""

import asyncio
import sys
import tempfile
import time
from secrets import token_hex

from driving import Browser, compare, serving
from floor import USER_ID, make_bare, make_floor
from ours import make_ours

from quartlogin.webapp.store import Event, NewUser, User, store_at


async def main() -> None:
    small = "--small" in sys.argv
    rounds, requests = (7, 200) if small else (41, 400)
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database)
        floor, ours, bare = make_floor(database), make_ours(database), make_bare()
        async with serving(floor, ours, bare):
            nobody, guest = Browser(ours), Browser(floor)
            here, there = Browser(ours), Browser(floor)
            for browser in (here, there):
                await browser.get("/in")
                assert b"Hello, Ada" in (await browser.get("/home"))[1]
            pages = {
                "public page, no cookies": (nobody.asks("/public"), guest.asks("/public"), 1),
                "public page, session cookie": (here.asks("/public"), there.asks("/public"), 1),
                "logged-in page, 1 at a time": (here.asks("/home"), there.asks("/home"), 1),
                "logged-in page, 32 at a time": (here.asks("/home"), there.asks("/home"), 32),
            }
            for name, (mine, other, at_a_time) in pages.items():
                result = await compare(mine, other, rounds=rounds, requests=requests, at_a_time=at_a_time)
                print(f"{name:32}{result}", flush=True)


async def fill(database: str) -> None:
    store = store_at(database)
    await store.database.open()
    event = Event(token_hex(8), "registered", USER_ID, int(time.time()), "", "")
    await store.users.add(NewUser(User(USER_ID, "Ada"), "ada", "no password"), event)
    await store.database.close()


if __name__ == "__main__":
    asyncio.run(main())
