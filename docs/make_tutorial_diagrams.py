"""Draw the requests of the tutorial, from its own app as it is after each step: docs/diagrams/tutorial-*.svg.

python docs/make_tutorial_diagrams.py
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quart import Quart

from quartlogin import tracing
from quartlogin.explaining import Recorder
from quartlogin.explaining.diagram import draw

DOCS = Path(__file__).parent
sys.path.append(str(DOCS.parent / "tests"))

from tutorial import Reader, blocks  # noqa: E402 -- the reader that the tests use

FOLDER = DOCS / "diagrams"
PASSWORD = "correct horse battery staple"
ADA = {"name": "ada", "password": PASSWORD}


class Visitor:
    """A browser that visits the tutorial's app; its requests are drawn from `begin_drawing` on."""

    def __init__(self, app: Quart, recorder: Recorder) -> None:
        self._client = app.test_client()
        self._recorder = recorder
        self._first = 0
        self._token = ""

    async def get(self, path: str, **headers: str) -> None:
        """Open a page, and keep the CSRF token of its form."""
        page = await (await self._client.get(path, headers=headers)).get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        self._token = found[1] if found else ""

    async def post(self, path: str, **fields: str) -> None:
        """Send the form of the page."""
        await self._client.post(path, form={**fields, "csrf_token": self._token})

    async def forge(self, path: str, **fields: str) -> None:
        """Send a form of another site."""
        await self._client.post(path, form=fields)

    def close_browser(self) -> None:
        """Forget the session cookie."""
        assert self._client.cookie_jar is not None
        self._client.cookie_jar.clear_session_cookies()

    def begin_drawing(self) -> None:
        """Draw the requests from here on."""
        self._first = len(self._recorder.recordings)

    def diagram(self) -> str:
        """Draw the requests."""
        return draw(list(self._recorder.recordings)[self._first :], times=False)


async def signing_in(visitor: Visitor) -> None:
    """Sign in, and open a page that names the user."""
    await visitor.post("/login", **ADA)
    await visitor.get("/")


async def led_to_the_login_page(visitor: Visitor) -> None:
    """Open the diary, and come back to it from the login page."""
    await visitor.get("/diary")
    await visitor.post("/login?next=%2Fdiary", **ADA)
    await visitor.get("/diary")


async def remembered(visitor: Visitor) -> None:
    """Open the diary in a browser that was closed meanwhile."""
    await visitor.post("/login", **ADA, remember="on")
    visitor.close_browser()
    visitor.begin_drawing()
    await visitor.get("/diary")


async def confirming(visitor: Visitor) -> None:
    """Open a page for fresh logins, in a browser that was closed meanwhile."""
    await visitor.post("/login", **ADA, remember="on")
    visitor.close_browser()
    await visitor.get("/")
    visitor.begin_drawing()
    await visitor.get("/account/delete")
    await visitor.post("/confirm?next=%2Faccount%2Fdelete", password=PASSWORD)
    await visitor.get("/account/delete")


async def forged_form(visitor: Visitor) -> None:
    """Send a form without the token of the page."""
    await visitor.get("/login")
    await visitor.post("/login", **ADA)
    visitor.begin_drawing()
    await visitor.forge("/diary", text="forged")


async def signing_out(visitor: Visitor) -> None:
    """Sign out, and open the diary."""
    await visitor.get("/login")
    await visitor.post("/login", **ADA, remember="on")
    await visitor.get("/")
    visitor.begin_drawing()
    await visitor.post("/logout")
    await visitor.get("/diary")


async def behind_a_proxy(visitor: Visitor) -> None:
    """Open the login page over https."""
    await visitor.get("/login", **{"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"})


#: The diagrams: the step of the tutorial, and what a visitor does then.
STORIES: dict[str, tuple[int, Callable[[Visitor], Awaitable[None]]]] = {
    "tutorial-signing-in": (4, signing_in),
    "tutorial-login-required": (5, led_to_the_login_page),
    "tutorial-remember-me": (6, remembered),
    "tutorial-fresh-login": (7, confirming),
    "tutorial-csrf": (8, forged_form),
    "tutorial-signing-out": (9, signing_out),
    "tutorial-deployment": (11, behind_a_proxy),
}


async def make_diagrams() -> dict[str, str]:
    """Return the SVG of each diagram by the name of its file."""
    diagrams = {}
    for name, (step, story) in STORIES.items():
        with TemporaryDirectory() as folder, app_after(step, Path(folder)) as app:
            diagrams[f"{name}.svg"] = await _draw(app, story)
    return diagrams


async def _draw(app: Quart, story: Callable[[Visitor], Awaitable[None]]) -> str:
    recorder = Recorder(app)
    visitor = Visitor(app, recorder)
    async with app.test_app(), app.app_context():
        await import_module("database").add_user("ada", import_module("passwords").hasher.hash(PASSWORD))
    async with app.test_app():
        with tracing.listening(recorder):
            await story(visitor)
    return visitor.diagram()


@contextmanager
def app_after(step: int, folder: Path) -> Iterator[Any]:
    """Write the tutorial's files as they are after a step into a folder, and import its app."""
    reader = Reader(folder)
    for block in blocks():
        if block.file is not None and block.step <= step:
            reader.follow(block)
    is_deployed = (reader.folder / "server.py").exists()
    sys.path.insert(0, str(reader.folder))
    try:
        app = import_module("server" if is_deployed else "app").app
        app.config.update(SECRET_KEY="a key for the diagrams of the tutorial", DATABASE=folder / "diary.sqlite3")
        yield app
    finally:
        sys.path.remove(str(reader.folder))
        for module in [name for name, module in sys.modules.items() if _is_in(reader.folder, module)]:
            del sys.modules[module]


def _is_in(folder: Path, module: Any) -> bool:
    return str(getattr(module, "__file__", None)).startswith(str(folder))


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, svg in (await make_diagrams()).items():
        (FOLDER / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
