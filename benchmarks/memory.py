"""Measure the memory of a process for each further idle signed-in user.

python benchmarks/memory.py [--small]

Some users request the logged-in page first, to fill caches of limited size; then more do, each once, with a cookie of
their own. The memory of the process afterwards is compared with that before, by Python's count and by the system's.
"""

import asyncio
import gc
import sys
import tempfile
import tracemalloc
from pathlib import Path

from driving import asks, serving
from ours import make_ours
from people import cookie_of_login, fill
from quart import Quart


async def main() -> None:
    first, more = (5_000, 1_500) if "--small" in sys.argv else (20_000, 50_000)
    everybody = first + more
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, everybody, everybody)
        app = make_ours(database)
        tracemalloc.start()
        async with serving(app):
            await visit(app, range(first), everybody)
            before, before_by_system = held(), resident()
            await visit(app, range(first, everybody), everybody)
            after, after_by_system = held(), resident()
    print(f"{more} further users, signed in and idle")
    print(f"  Python's objects: {(after - before) / more:8.2f} bytes each  ({before} before, {after} after)")
    print(f"  resident memory:  {(after_by_system - before_by_system) / more:8.2f} bytes each")


async def visit(app: Quart, people: range, everybody: int) -> None:
    for number in people:
        await asks(app, "/home", [f"session={cookie_of_login(app, number, everybody)}"])()


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


if __name__ == "__main__":
    asyncio.run(main())
