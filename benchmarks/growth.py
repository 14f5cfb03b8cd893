"""Measure how the logged-in page scales with users, logins and concurrent requests.

python benchmarks/growth.py [--small] [--postgres postgresql://user@host/an_empty_database_for_each]

Draws docs/plots/*.svg, unless it is the small form. For PostgreSQL, it creates and drops databases on the server that
the address names. Needs pip install -e '.[bench]'.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from driving import Ask, asks, compare, page, serving, time_of
from floor import make_bare, make_floor
from ours import make_ours
from people import cookie_of_floor, cookie_of_login, fill
from plots import draw
from quart import Quart

COOKIES = 2_000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
AT_A_TIME = (1, 2, 4, 8, 16, 32, 64, 128, 256)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--postgres", metavar="ADDRESS")
    chosen = parser.parse_args()
    await grow_users(chosen.small, chosen.postgres)
    await grow_crowd(chosen.small, chosen.postgres)


async def grow_users(small: bool, postgres: str | None) -> None:
    """Compare databases of increasing numbers of users, and twice as many logins, with the smallest."""
    sizes, rounds, requests = (SIZES[:2], 5, 200) if small else (SIZES, 21, 512)
    lines: dict[str, list[float]] = {}
    for name, address in {"SQLite": None, "PostgreSQL": postgres}.items():
        if name == "PostgreSQL" and postgres is None:
            continue
        for at_a_time in (1, 32):
            lines[f"{name}, {at_a_time} at a time"] = []
        for size in sizes:
            async with database_of(sizes[0], address) as least, database_of(size, address) as grown:
                for at_a_time in (1, 32):
                    result = await compare(grown, least, rounds=rounds, requests=requests, at_a_time=at_a_time)
                    lines[f"{name}, {at_a_time} at a time"].append(result.ours)
                    print(
                        f"{name:11}{size:9,} users, {2 * size:9,} logins, {at_a_time:2} at a time: {result}", flush=True
                    )
    if not small:
        title = "A logged-in page, by the number of users (and twice as many logins)"
        print(draw("users", title, "users", "µs for each page", sizes, lines))


async def grow_crowd(small: bool, postgres: str | None) -> None:
    """Measure the page for increasing numbers of concurrent requests."""
    crowd, rounds, requests = (AT_A_TIME[:6:5], 3, 256) if small else (AT_A_TIME, 15, 1024)
    users = SIZES[0]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        database = f"{folder}/people.sqlite3"
        await fill(database, users, users)
        bare, floor = make_bare(), make_floor(database)
        await stack.enter_async_context(serving(bare, floor))
        there = [f"session={cookie_of_floor(floor, number, users)}" for number in range(users)]
        pages: dict[str, Ask] = {
            "quartlogin, SQLite": await stack.enter_async_context(database_of(users, None)),
            "by hand, one statement a page": asks(floor, "/home", there),
            "no login at all": asks(bare, "/home"),
        }
        if postgres is not None:
            pages["quartlogin, PostgreSQL"] = await stack.enter_async_context(database_of(users, postgres))
        rates: dict[str, list[float]] = {name: [] for name in pages}
        for at_a_time in crowd:
            times: dict[str, list[float]] = {name: [] for name in pages}
            for _ in range(rounds):
                for name, ask in pages.items():
                    times[name].append(await time_of(ask, requests, at_a_time))
            for name, measured in times.items():
                rates[name].append(1e6 / sorted(measured)[len(measured) // 2])
            shown = ", ".join(f"{name} {rates[name][-1]:.0f}" for name in pages)
            print(f"{at_a_time:3} at a time, pages per second: {shown}", flush=True)
    if not small:
        title = "Logged-in pages per second, by concurrent requests"
        print(draw("crowd", title, "requests at a time", "pages per second", crowd, rates))


@asynccontextmanager
async def database_of(users: int, postgres: str | None) -> AsyncIterator[Ask]:
    """Create a database of this size, and yield a function that requests the logged-in page of users spread over it."""
    async with made_database(f"people_{users}", postgres) as database:
        await fill(database, users, 2 * users)
        app = make_ours(database)
        async with serving(app):
            cookies = cookies_of(app, users)
            assert "Hello, user0." in await page(app, "/home", cookies[0])
            yield asks(app, "/home", cookies)


def cookies_of(app: Quart, users: int) -> list[str]:
    step = max(1, 2 * users // COOKIES)
    return [f"session={cookie_of_login(app, number, users)}" for number in range(0, 2 * users, step)]


@asynccontextmanager
async def made_database(name: str, postgres: str | None) -> AsyncIterator[str]:
    if postgres is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"{folder}/{name}.sqlite3"
        return
    name = f"{name}_{token_hex(4)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
