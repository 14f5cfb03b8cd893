"""Compare the cost of quartlogin on a Quart page with that of Flask-Login on a Flask page, 32 requests at a time.

python benchmarks/beside_flask.py [--small]

Each app serves the same page with login and without a session; the difference is the cost of login. Flask's requests
run in 32 threads, and its user is read with the standard library's sqlite3, one connection for each thread.
"""

import asyncio
import gc
import sqlite3
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from statistics import median
from typing import Any

from driving import ADDRESS, BROWSER, asks, serving, summary, time_of
from flask import Flask, render_template
from flask_login import LoginManager, UserMixin
from floor import KEY, TEMPLATES, User, make_bare
from ours import make_ours
from people import cookie_of_login, fill, user_id

AT_A_TIME, PEOPLE = 32, 64


class FlaskUser(UserMixin):  # type: ignore[misc]  # it ships no types
    """A user class as in Flask-Login's documentation."""

    def __init__(self, user_id: str, username: str) -> None:
        self.id = user_id
        self.username = username


async def main() -> None:
    rounds, requests = (7, 256) if "--small" in sys.argv else (41, 512)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_A_TIME) as threads:
        database = f"{folder}/people.sqlite3"
        await fill(database, PEOPLE, PEOPLE)
        bare, ours = make_bare(), make_ours(database)
        here = [f"session={cookie_of_login(ours, number, PEOPLE)}" for number in range(PEOPLE)]
        flask, bare_flask = make_flask(database), make_bare_flask()
        there = [f"session={cookie_of_flask_login(flask, number)}" for number in range(PEOPLE)]
        assert b"Hello, user1" in b"".join(flask(environment(there[1]), lambda *_: None))

        added: list[tuple[float, float]] = []
        async with serving(bare, ours):
            with_login, without = asks(ours, "/home", here), asks(bare, "/home", here)
            for _ in range(rounds):
                on_quart = await time_of(with_login, requests, AT_A_TIME) - await time_of(without, requests, AT_A_TIME)
                on_flask = time_in_threads(threads, flask, there, requests) - time_in_threads(
                    threads, bare_flask, there, requests
                )
                added.append((on_quart, on_flask))
        ours_added, flask_added = median(quart for quart, _ in added), median(flask for _, flask in added)
        print(f"cost of quartlogin on Quart, relative to Flask-Login on Flask: {ours_added / flask_added:.2f}")
        print(f"  {ours_added:.0f} µs against {flask_added:.0f} µs; with spread: {summary(added)}")


def make_flask(database: str) -> Any:
    app = Flask("flask", template_folder=str(TEMPLATES))
    app.secret_key = KEY
    login_manager = LoginManager(app)
    connections = threading.local()

    @login_manager.user_loader  # type: ignore[untyped-decorator]  # it ships no types
    def load(user_id: str) -> FlaskUser | None:
        if not hasattr(connections, "own"):
            connections.own = sqlite3.connect(database)
        row = connections.own.execute("SELECT username FROM quartlogin_users WHERE id = ?", (user_id,)).fetchone()
        return FlaskUser(user_id, row[0]) if row else None

    app.add_url_rule("/public", "public", lambda: render_template("public.html"))
    app.add_url_rule("/home", "home", lambda: render_template("home.html"))
    return app


def make_bare_flask() -> Any:
    app = Flask("bare", template_folder=str(TEMPLATES))
    somebody = User("Ada", is_authenticated=True)
    app.add_url_rule("/public", "public", lambda: render_template("public.html"))
    app.add_url_rule("/home", "home", lambda: render_template("home.html", current_user=somebody))
    return app


def cookie_of_flask_login(app: Any, number: int) -> str:
    serializer = app.session_interface.get_signing_serializer(app)
    with app.test_request_context(environ_base=environment("")):
        fingerprint = app.login_manager._session_identifier_generator()
    return str(serializer.dumps({"_user_id": user_id(number), "_fresh": True, "_id": fingerprint}))


def environment(cookie: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/home",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": ADDRESS,
        "HTTP_HOST": "localhost:5000",
        "HTTP_USER_AGENT": BROWSER,
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "HTTP_COOKIE": cookie,
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }


def time_in_threads(threads: ThreadPoolExecutor, app: Any, cookies: list[str], requests: int) -> float:
    environments = cycle([environment(cookie) for cookie in cookies])
    left = iter(range(requests))

    def ask_again_and_again() -> None:
        for _ in left:
            b"".join(app({**next(environments)}, _listen_not))

    gc.collect()
    gc.disable()
    began = time.perf_counter()
    for asked in [threads.submit(ask_again_and_again) for _ in range(AT_A_TIME)]:
        asked.result()
    took = time.perf_counter() - began
    gc.enable()
    return took / requests * 1e6


def _listen_not(*_: Any) -> None:
    """Ignore the status and the headers of the response."""


if __name__ == "__main__":
    asyncio.run(main())
