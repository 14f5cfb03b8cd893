"""Where the time of a logged-in page goes, 32 at a time: the functions of this package and of what it calls for login.

python benchmarks/profile_page.py
"""

import asyncio
import cProfile
import pstats
import tempfile

from driving import Browser, serving, time_of
from ours import make_ours
from pages import fill

REQUESTS = 3000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database)
        app = make_ours(database)
        async with serving(app):
            browser = Browser(app)
            await browser.get("/in")
            ask = browser.asks("/home")
            await time_of(ask, REQUESTS, 32)
            profile = cProfile.Profile()
            profile.enable()
            await time_of(ask, REQUESTS, 32)
            profile.disable()
    statistics = pstats.Stats(profile)
    statistics.sort_stats("cumulative").print_stats("quartlogin|aiosqlite|itsdangerous|sessions.py|sqlite", 60)


if __name__ == "__main__":
    asyncio.run(main())
