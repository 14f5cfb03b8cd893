"""The worst pause of the event loop while eight people sign in at once, beside an idle loop's.

    python benchmarks/loop_pause.py

Both are measured in one run, on the real application with argon2's default parameters. A pause is how much later than
asked a sleep of one millisecond ends.
"""

import asyncio
import re
import secrets
import tempfile
import time
from statistics import median

from quart import Quart
from quart.testing import QuartClient

from quartlogin.webapp import create_app

PEOPLE = 8
PASSWORD = "correct horse battery staple"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(DATABASE=f"{folder}/people.sqlite3", SECRET_KEY=secrets.token_urlsafe(48))
        async with app.test_app():
            await submit(app.test_client(), "/register")
            idle = await pauses_during(asyncio.sleep(2))
            busy = await pauses_during(sign_in_together(app))
    print("                      median       99th percentile   worst   (milliseconds late)")
    for name, pauses in (("idle", idle), (f"{PEOPLE} signing in", busy)):
        pauses.sort()
        print(f"{name:20}{median(pauses):8.2f}{pauses[int(len(pauses) * 0.99)]:18.2f}{pauses[-1]:14.2f}")


async def pauses_during(work: "asyncio.Future[None] | object") -> list[float]:
    task = asyncio.ensure_future(work)  # type: ignore[arg-type]  # any awaitable
    pauses = []
    while not task.done():
        asked = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append((time.perf_counter() - asked - 0.001) * 1000)
    await task
    return pauses


async def sign_in_together(app: Quart) -> None:
    await asyncio.gather(*(submit(app.test_client(), "/login") for _ in range(PEOPLE)))


async def submit(client: QuartClient, path: str) -> None:
    page = await (await client.get(path)).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="(\w+)"', str(page))[1]  # type: ignore[index]  # every form has one
    answer = await client.post(path, form={"csrf_token": token, "username": "Ada", "password": PASSWORD})
    assert answer.status_code == 302, answer.status_code


if __name__ == "__main__":
    asyncio.run(main())
