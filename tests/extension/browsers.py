"""What passes between a browser and the apps of these tests: pages, cookies and time."""

import json
import time
from datetime import timedelta
from hashlib import sha512
from http.cookies import Morsel, SimpleCookie
from typing import Any

from itsdangerous import URLSafeTimedSerializer
from quart import Quart, Response, session
from quart.testing import QuartClient

from quartlogin import current_user, login_fresh, login_id

KEY = "a key for tests, and for nothing else"


class Clock:
    """The time that the app believes it is."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by.total_seconds()


async def home() -> dict[str, Any]:
    """A page, for the apps to show at `/`, of what is known about the visitor."""
    return {
        "name": getattr(await current_user, "name", None),
        "login_id": login_id(),
        "fresh": login_fresh(),
        "session": dict(session),
    }


async def see(browser: QuartClient, **options: Any) -> dict[str, Any]:
    page: dict[str, Any] = await (await browser.get("/", **options)).get_json()
    return page


async def sign_in_ada(app: Quart, **options: Any) -> "tuple[QuartClient, Morsel[str]]":
    """A browser in which Ada has signed in to be remembered, and the cookie that she got."""
    browser = app.test_client()
    response = await browser.post("/login", **options)
    return browser, next(cookie for name, cookie in set_by(response).items() if name.endswith("remember_token"))


def restart(browser: QuartClient) -> None:
    """Close the browser, and open it again: only cookies with a time are still there."""
    assert browser.cookie_jar is not None
    browser.cookie_jar.clear_session_cookies()


def set_by(response: Response) -> SimpleCookie:
    """The cookies that a response sets or deletes."""
    cookies: SimpleCookie = SimpleCookie()
    for line in response.headers.getlist("Set-Cookie"):
        cookies.load(line)
    return cookies


def is_deletion(cookie: "Morsel[str]") -> bool:
    return cookie.value == "" and cookie["max-age"] == "0"


def serializer(key: Any = KEY, app: str = "site", purpose: str = "remember") -> URLSafeTimedSerializer:
    """Signs and reads as quartlogin is documented to; written down anew, so that a change of the format is noticed."""
    return URLSafeTimedSerializer(key, f"quartlogin {purpose} token of {app}", signer_kwargs={"digest_method": sha512})


def contents_of(cookie: "Morsel[str]") -> list[Any]:
    """The user's id, the login's id, its end, the secret, and the login's own duration."""
    contents: list[Any] = json.loads(serializer().loads(cookie.value))
    return contents
