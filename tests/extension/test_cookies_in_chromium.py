"""What the diagnoses say of browsers is what Chromium does."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

import pytest
from explained import Site, make_site
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, request, session
from users import ADA

from chromium import chromium
from quartlogin import login_user, tracing
from quartlogin.explaining import Case, diagnose, missing_cookie_rules, outcome_rules
from quartlogin.explaining.case import Situation
from quartlogin.tracing import Step
from servers import PATIENCE, free_port

#: All hosts below `example` and `test` are this machine; unlike localhost, Chromium does not take them for secure.
HOSTS = "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.test 127.0.0.1"
HERE, THERE, LOOPBACK = (f"http://{host}:{{port}}" for host in ("site.example", "other.test", "localhost"))
STRICT = {"SESSION_COOKIE_SAMESITE": "Strict"}
LOGIN, OTHER_PORT = f"{LOOPBACK}/login", "http://localhost:{other}"


@contextmanager
def served(app: Quart, *ports: int) -> Iterator[None]:
    """Serve an app in a thread."""
    config, loop, started, ended = Config(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    config.bind, config.errorlog = [f"127.0.0.1:{port}" for port in ports], None

    @app.before_serving
    async def tell() -> None:
        started.set()

    work: Any = serve(app, config, shutdown_trigger=ended.wait)
    thread = threading.Thread(target=loop.run_until_complete, args=[work])
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE)
        loop.close()


def explain(site: Site) -> str:
    """Diagnose the last request for the page."""
    recorded = [one for one in site.recorder.recordings if one.details("request").get("endpoint") == "page"]
    return diagnose(Case(recorded[-1], site.app, site.recorder.before(recorded[-1]))).situation


@pytest.fixture
def site(bare_app: Quart) -> Iterator[Site]:
    """An app with a login that fills the session, and views that have a browser request another page."""
    site = make_site(bare_app)

    @bare_app.get("/full")
    async def full() -> str:
        await login_user(ADA)
        session["cart"] = token_urlsafe(5000)
        return "in"

    @bare_app.get("/around")
    async def around() -> str:
        return f"<{request.args['tag']} src='{request.args['url']}'>"

    @bare_app.get("/script")
    async def script() -> str:
        return f"<script>fetch('{request.args['url']}', {{mode: 'no-cors'}})</script>"

    @bare_app.get("/away")
    async def away() -> str:
        return f"<script>location = '{request.args['url']}'</script>"

    with tracing.listening(site.recorder):
        yield site


@dataclass(frozen=True)
class Visit:
    """A login, and a visit to the page; `{port}` and `{other}` are the ports of the server."""

    situation: Situation
    config: dict[str, Any] = field(default_factory=dict)
    login: str = f"{HERE}/login"
    page: str = f"{HERE}/page"


VISITS = [
    Visit(outcome_rules.BY_SESSION),
    Visit(outcome_rules.BY_SESSION, {"SESSION_COOKIE_SECURE": True}, LOGIN, f"{LOOPBACK}/page"),
    Visit(outcome_rules.BY_SESSION, {}, LOGIN, f"{OTHER_PORT}/page"),
    Visit(
        outcome_rules.BY_SESSION, {"SESSION_COOKIE_DOMAIN": "site.example"}, page="http://a.site.example:{port}/page"
    ),
    Visit(missing_cookie_rules.SECURE_OVER_HTTP, {"SESSION_COOKIE_SECURE": True}),
    Visit(missing_cookie_rules.WRONG_DOMAIN, {"SESSION_COOKIE_DOMAIN": "shop.example"}),
    Visit(missing_cookie_rules.OTHER_PATH, {"SESSION_COOKIE_PATH": "/shop"}),
    Visit(missing_cookie_rules.OTHER_HOST, login=LOGIN, page="http://127.0.0.1:{port}/page"),
    Visit(missing_cookie_rules.TOO_LONG_TO_KEEP, login=f"{HERE}/full"),
    # Chromium tells where a request comes from (`Sec-Fetch-Site`) to https and to localhost.
    Visit(missing_cookie_rules.IN_IFRAME, {}, LOGIN, f"{THERE}/around?tag=iframe&url={LOOPBACK}/page"),
    Visit(missing_cookie_rules.FROM_OTHER_SITE, {}, LOGIN, f"{THERE}/around?tag=img&url={LOOPBACK}/page"),
    Visit(missing_cookie_rules.FROM_OTHER_SITE, STRICT, LOGIN, f"{THERE}/away?url={LOOPBACK}/page"),
    Visit(outcome_rules.BY_SESSION, {}, LOGIN, f"{THERE}/away?url={LOOPBACK}/page"),
    Visit(missing_cookie_rules.SET_FOR_FETCH, {}, f"{OTHER_PORT}/script?url={LOGIN}", f"{LOOPBACK}/page"),
    Visit(missing_cookie_rules.FETCHED_WITHOUT_CREDENTIALS, {}, LOGIN, f"{THERE}/script?url={LOOPBACK}/page"),
    Visit(missing_cookie_rules.FETCHED_WITHOUT_CREDENTIALS, {}, LOGIN, f"{OTHER_PORT}/script?url={LOOPBACK}/page"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
def test_chromium_keeps_back_the_cookies_that_the_diagnoses_say(site: Site, missing: Callable[[str], None]) -> None:
    ports = {"port": free_port(), "other": free_port()}
    usual = {key: site.app.config[key] for visit in VISITS for key in visit.config}
    told, visited = [], threading.Event()

    def note(step: Step) -> None:
        if step.name == "response" and step.connection.endpoint in {"login", "full", "page"}:
            visited.set()

    with tracing.listening(note), served(site.app, *ports.values()), chromium(missing, HOSTS) as browser:
        page = browser.new_page()
        for visit in VISITS:
            site.app.config.update({**usual, **visit.config})
            page.context.clear_cookies()
            for url in (visit.login, visit.page):
                visited.clear()
                page.goto(url.format(**ports))
                assert visited.wait(PATIENCE)  # a frame, a picture or a script may be asked for later
            told.append((explain(site), visit.situation.name))

    assert [pair for pair in told if len({*pair}) > 1] == []
