"""Measure a logged-in page behind uvicorn by concurrent users and workers: requests per second, and latency.

python benchmarks/workers.py [--small] [--postgres postgresql://user@host/an_empty_database_for_each]

Draws docs/plots/workers.svg and latency.svg, unless it is the small form. Needs wrk on the PATH (apt-get install wrk),
and pip install -e '.[bench]'.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from growth import cookies_of, made_database
from ours import make_ours
from people import fill
from plots import draw

from servers import HERE, Told, ask, serving

SERVER: Final = "uvicorn, httptools and uvloop"
USERS: Final = 1_000
WORKERS: Final = (1, 2, 4)
CONNECTIONS: Final = (1, 4, 16, 64, 256)

#: For each number of workers, the measurements for each number of connections.
Results = dict[int, list[Told]]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--postgres", metavar="ADDRESS")
    chosen = parser.parse_args()
    results: dict[str, Results] = {}
    for name, address in {"SQLite": None, "PostgreSQL": chosen.postgres}.items():
        if name == "PostgreSQL" and address is None:
            continue
        async with made_database("people", address) as database:
            await fill(database, USERS, 2 * USERS)
            results[name] = measure(name, database, small=chosen.small)
    if not chosen.small:
        show(results)


def measure(name: str, database: str, *, small: bool) -> Results:
    workers, connections = (WORKERS[:2], CONNECTIONS[2:3]) if small else (WORKERS, CONNECTIONS)
    rounds, seconds = (1, 1) if small else (3, 2)
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder:
        cookies = Path(folder, "cookies")
        cookies.write_text("".join(f"{cookie}\n" for cookie in cookies_of(make_ours(database), USERS)), "ascii")
        os.environ |= {"BENCHMARK_DATABASE": database, "BENCHMARK_COOKIES": str(cookies), "PYTHONPATH": str(HERE)}
        for count in workers:
            results[count] = []
            with serving(SERVER, count, "ours") as url:
                ask(url, 1)
                for at_once in connections:
                    told = middle_of([ask(url, seconds, at_once) for _ in range(rounds)])
                    results[count].append(told)
                    print(
                        f"{name:10} {count} workers {at_once:4} at a time: {told.rate:6.0f} per second,"
                        f" {told.median * 1e3:6.1f} ms, 99th percentile {told.percentile_99 * 1e3:6.1f} ms",
                        flush=True,
                    )
    return results


def middle_of(told: list[Told]) -> Told:
    return Told(*(median(values) for values in zip(*told, strict=True)))


def show(results: dict[str, Results]) -> None:
    rates, waits = {}, {}
    for name, of_workers in results.items():
        for count, measured in of_workers.items():
            workers = f"{name}, {count} worker{'s' if count > 1 else ''}"
            rates[workers] = [told.rate for told in measured]
            if count == min(os.cpu_count() or 1, 2):
                waits[f"{workers}: median"] = [told.median * 1e3 for told in measured]
                waits[f"{workers}: 99th percentile"] = [told.percentile_99 * 1e3 for told in measured]
    asked = "requests at a time"
    print(draw("workers", "Logged-in pages per second, by workers", asked, "pages per second", CONNECTIONS, rates))
    print(draw("latency", "Latency of a logged-in page", asked, "milliseconds", CONNECTIONS, waits))


if __name__ == "__main__":
    asyncio.run(main())
