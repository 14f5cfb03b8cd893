"""Measure one app behind several servers with wrk: the cost of the server, and that of login.

python benchmarks/servers.py [--small]

Needs wrk on the PATH (apt-get install wrk), and pip install -e '.[bench]'.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple
from urllib.request import Request, urlopen

from driving import BROWSER
from ours import make_ours
from people import cookie_of_login, fill_now

HERE: Final = Path(__file__).parent
SCRIPTS: Final = Path(sys.executable).parent
PEOPLE, CONNECTIONS = 256, 32
_RESULT: Final = re.compile(
    r"50%\s+([\d.]+)(us|ms|s)\b.*99%\s+([\d.]+)(us|ms|s)\b.*Requests/sec:\s+([\d.]+)", re.DOTALL
)
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

SERVERS: Final = {
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "--workers", "{workers}", "served:{app}"],
    "uvicorn, h11": [
        "uvicorn",
        "--port",
        "{port}",
        "--workers",
        "{workers}",
        "--http",
        "h11",
        "--loop",
        "asyncio",
        "--no-access-log",
        "served:{app}",
    ],
    "uvicorn, httptools and uvloop": [
        "uvicorn",
        "--port",
        "{port}",
        "--workers",
        "{workers}",
        "--http",
        "httptools",
        "--loop",
        "uvloop",
        "--no-access-log",
        "served:{app}",
    ],
    "granian": [
        "granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "--workers",
        "{workers}",
        "--no-ws",
        "served:{app}",
    ],
}


class Told(NamedTuple):
    """The measurements of wrk."""

    #: Pages per second.
    rate: float
    #: The median and the 99th percentile of the latency, in seconds.
    median: float
    percentile_99: float


def main() -> None:
    rounds, seconds = (1, 1) if "--small" in sys.argv else (3, 2)
    with tempfile.TemporaryDirectory() as folder:
        database, cookies = f"{folder}/people.sqlite3", Path(folder, "cookies")
        fill_now(database, PEOPLE, PEOPLE)
        app = make_ours(database)
        cookies.write_text("".join(f"session={cookie_of_login(app, n, PEOPLE)}\n" for n in range(PEOPLE)), "ascii")
        os.environ |= {"BENCHMARK_DATABASE": database, "BENCHMARK_COOKIES": str(cookies), "PYTHONPATH": str(HERE)}
        rates: dict[tuple[str, int, str], list[float]] = {}
        for _ in range(rounds):
            for workers in (1, 2):
                for server in SERVERS:
                    for app_name in ("bare", "ours"):
                        rate = measure(server, workers, app_name, seconds)
                        rates.setdefault((server, workers, app_name), []).append(rate)
    show(rates)


def measure(server: str, workers: int, app_name: str, seconds: int) -> float:
    """Return the pages per second of a server."""
    with serving(server, workers, app_name) as url:
        ask(url, 1)
        return ask(url, seconds).rate


def ask(url: str, seconds: int, connections: int = CONNECTIONS) -> Told:
    """Request a page repeatedly over several connections."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency"]
    command += ["-s", str(HERE / "cookies.lua"), "-H", f"User-Agent: {BROWSER}", url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in told, told
    found = _RESULT.search(told)
    assert found is not None, told
    middle, middle_unit, most, most_unit, rate = found.groups()
    return Told(float(rate), float(middle) * _SECONDS[middle_unit], float(most) * _SECONDS[most_unit])


@contextmanager
def serving(server: str, workers: int, app_name: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [part.format(port=port, workers=workers, app=app_name) for part in SERVERS[server]]
    command[0] = str(SCRIPTS / command[0])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/home"
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urlopen(Request(url), timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def show(rates: dict[tuple[str, int, str], list[float]]) -> None:
    titles = (
        "server",
        "workers",
        "pages per second, no login",
        "beside hypercorn",
        "with login",
        "µs without",
        "µs more",
    )
    print("|", " | ".join(titles), "|")
    print("|---|---|---|---|---|---|---|")
    for server, workers, app_name in rates:
        if app_name == "bare":
            continue
        bare, ours = (median(rates[server, workers, name]) for name in ("bare", "ours"))
        least = median(rates["hypercorn", 1, "bare"])
        cores = 1 if workers == 1 else min(workers, os.cpu_count() or 1)
        times = (cores * 1e6 / bare, cores * (1e6 / ours - 1e6 / bare))
        print(
            f"| {server} | {workers} | {bare:.0f} | {bare / least:.2f} | {ours:.0f} ({ours / bare:.2f})"
            f" | {times[0]:.0f} | {times[1]:.0f} |"
        )


if __name__ == "__main__":
    main()
