"""Profile a logged-in page, 32 at a time: the functions of this package and those that it calls for login.

python benchmarks/profile_page.py
"""

import asyncio
import cProfile
import pstats
import tempfile

from driving import asks, serving, time_of
from ours import make_ours
from people import cookie_of_login, fill

REQUESTS, PEOPLE = 3000, 64


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, PEOPLE, PEOPLE)
        app = make_ours(database)
        cookies = [f"session={cookie_of_login(app, number, PEOPLE)}" for number in range(PEOPLE)]
        ask = asks(app, "/home", cookies)
        async with serving(app):
            await time_of(ask, REQUESTS, 32)
            profile = cProfile.Profile()
            profile.enable()
            await time_of(ask, REQUESTS, 32)
            profile.disable()
    statistics = pstats.Stats(profile)
    statistics.sort_stats("cumulative").print_stats("quartlogin|aiosqlite|itsdangerous|sessions.py|sqlite", 60)


if __name__ == "__main__":
    asyncio.run(main())
