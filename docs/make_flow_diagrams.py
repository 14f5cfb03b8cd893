"""Draw what happens in requests, from the steps of the stand-alone application: docs/diagrams/*.svg.

python docs/make_flow_diagrams.py
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from quart import Quart
from quart.testing import QuartClient

from quartlogin import tracing
from quartlogin.accounts.testing import use_cheap_hashes
from quartlogin.explaining import Recorder, Recording, draw
from quartlogin.webapp import create_app

FOLDER = Path(__file__).with_name("diagrams")
KEY = "a key for diagrams, of more than 32 characters"
PASSWORD = "a sentence for diagrams"
#: Statements that are drawn: those that find a user, and those that find or begin a login.
SHOWN = re.compile(r"FROM quartlogin_(users|logins)\b.* JOIN|INSERT INTO quartlogin_logins\b", re.DOTALL)


class Browser:
    """A browser, whose requests can be recorded."""

    def __init__(self, app: Quart) -> None:
        self.client: QuartClient = app.test_client()
        self._recorder = Recorder(app)
        self._token = ""

    async def get(self, path: str) -> None:
        """Open a page, and keep the CSRF token of its form."""
        with tracing.listening(self._recorder):
            page = await (await self.client.get(path)).get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="(\w+)"', page)
        self._token = found[1] if found else ""

    async def post(self, path: str, **fields: str) -> None:
        """Send the form of the page."""
        with tracing.listening(self._recorder):
            await self.client.post(path, form={**fields, "csrf_token": self._token})

    async def open_websocket(self, path: str) -> None:
        """Open a websocket, and close it again once its guard has decided."""
        has_decided = asyncio.Event()
        with (
            tracing.listening(self._recorder),
            tracing.listening(lambda step: has_decided.set() if step.name == "guard" else None),
        ):
            async with self.client.websocket(path):
                await has_decided.wait()

    async def sign_in(self, **fields: str) -> None:
        """Open the login page, and send its form."""
        await self.get("/login")
        await self.post("/login", username="ada", password=PASSWORD, **fields)

    def forget(self) -> None:
        """Forget the requests so far."""
        self._recorder.recordings.clear()

    def drawn(self) -> str:
        """Draw the requests, without what differs from run to run, and without rate limits and events."""
        drawn = [_shortened(recording) for recording in self._recorder.recordings]
        steps = [step for recording in drawn for step in recording.steps]
        refusals = (index for index, step in enumerate(steps) if step.details.get("outcome") == "refused")
        return draw(drawn, decisive=next(refusals, None), times=False)


async def signing_in(browser: Browser) -> None:
    """Sign in."""
    await browser.sign_in()


async def next_request(browser: Browser) -> None:
    """Request the home page after a sign-in."""
    await browser.sign_in()
    browser.forget()
    await browser.get("/")


async def remembered(browser: Browser) -> None:
    """Come back with the remember cookie, after the browser was closed."""
    await browser.sign_in(remember="y")
    assert browser.client.cookie_jar is not None
    browser.client.cookie_jar.clear_session_cookies()
    browser.forget()
    await browser.get("/")


async def refused(browser: Browser) -> None:
    """Ask for a page that requires a login, without one."""
    await browser.get("/account")


async def websocket(browser: Browser) -> None:
    """Open the websocket of the account page."""
    await browser.sign_in()
    browser.forget()
    await browser.open_websocket("/account/live")


SCENES: dict[str, Callable[[Browser], Awaitable[None]]] = {
    "sign-in": signing_in,
    "next-request": next_request,
    "remember-me": remembered,
    "refused-by-a-guard": refused,
    "websocket": websocket,
}


async def make_diagrams() -> dict[str, str]:
    """Return each diagram by the name of its file."""
    drawn = {}
    async with application() as app:
        for name, scene in SCENES.items():
            visitor = Browser(app)
            await scene(visitor)
            drawn[f"flow-{name}.svg"] = visitor.drawn()
    return drawn


@asynccontextmanager
async def application() -> AsyncIterator[Quart]:
    """Run the application with a user, in a temporary folder."""
    with TemporaryDirectory() as folder:
        app = create_app(DATABASE=f"{folder}/diagrams.sqlite3", SECRET_KEY=KEY)
        use_cheap_hashes(app)
        async with app.test_app():
            newcomer = Browser(app)
            await newcomer.get("/register")
            await newcomer.post("/register", username="ada", password=PASSWORD)
            yield app


def _shortened(recording: Recording) -> Recording:
    steps = [step for step in recording.steps if step.name != "hashing_queue"]
    shown = [step for step in steps if step.name != "statement" or SHOWN.search(step.details["sql"])]
    return Recording(recording.number, recording.began, shown)


def main() -> None:
    """Write the diagrams."""
    FOLDER.mkdir(exist_ok=True)
    for name, svg in asyncio.run(make_diagrams()).items():
        (FOLDER / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
