"""An app whose requests are recorded, and a browser that keeps cookies as browsers do."""

from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import Cookie, CookieJar
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

from quart import Quart, Response, render_template_string
from users import ADA, User
from werkzeug.datastructures import Headers

from quartlogin import LoginManager, SignedSessionInterface, login_required, login_user, logout_user
from situations import Recorded

LONGEST_COOKIE = 4096


class Site(Recorded):
    """An app of one's own, whose requests are recorded."""

    def __init__(self, app: Quart, manager: LoginManager[User], users: dict[Any, Any]) -> None:
        super().__init__(app)
        self.manager = manager
        #: What the user_loader answers, by id: a user, or an error to raise.
        self.users = users


def add_pages(app: Quart) -> None:
    """Give an app a login that is remembered, a page whose template names the user, and one for users only."""

    @app.post("/login")
    async def login() -> str:
        await login_user(ADA, remember=True, duration=timedelta(days=1))
        return "in"

    @app.get("/")
    async def home() -> str:
        return await render_template_string("{{ current_user.name }}")

    @app.get("/guarded")
    @login_required
    async def guarded() -> str:
        return ""


def make_site(app: Quart) -> Site:
    """Give an app a page for signed-in users, and a login that anybody may have."""
    manager: LoginManager[User] = LoginManager(app)
    app.session_interface = SignedSessionInterface()
    users: dict[Any, Any] = {ADA.id: ADA}

    @manager.user_loader
    async def load(user_id: str) -> Any:
        found = users.get(user_id)
        if isinstance(found, Exception):
            raise found
        return found

    @app.get("/page")
    @login_required
    async def page() -> str:
        return "page"

    @app.get("/login")
    async def login() -> str:
        return str(await login_user(ADA))

    @app.get("/remembered")
    async def remembered() -> str:
        return str(await login_user(ADA, remember=True, duration=timedelta(days=1)))

    @app.get("/logout")
    async def logout() -> str:
        return str(await logout_user())

    return Site(app, manager, users)


@dataclass
class Browser:
    """Keeps and sends cookies as browsers do, unlike Quart's test client, which sends all of them everywhere."""

    app: Quart
    agent: str = "Firefox"
    jar: CookieJar = field(default_factory=CookieJar)

    async def get(self, url: str, method: str = "GET", **headers: str) -> Response:
        """Open a URL, such as "http://localhost/page"; headers are written `Sec_Fetch_Site`."""
        parts, sent = urlsplit(url), {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(url)
        self.jar.add_cookie_header(request)
        cookie = request.get_header("Cookie")
        if cookie and self._sends_cookies(method, sent):
            sent.setdefault("Cookie", cookie)
        sent |= {"Host": parts.netloc, "User-Agent": self.agent}
        client = self.app.test_client(use_cookies=False)
        response = await client.open(parts.path, method=method, headers=sent, scheme=parts.scheme)
        if sent.get("Sec-Fetch-Dest") != "empty" or self._sends_cookies(method, sent):
            self.keep(url, *response.headers.getlist("Set-Cookie"))
        return response

    def value_of(self, name: str) -> str:
        """Return the value of a cookie."""
        return next(cookie.value or "" for cookie in self.jar if cookie.name == name)

    def _sends_cookies(self, method: str, headers: dict[str, str]) -> bool:
        site, kind = headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Dest")
        if site in {None, "same-origin", "none"}:
            return True
        return kind == "document" and method == "GET" and not any(_is_strict(cookie) for cookie in self.jar)

    def keep(self, url: str, *lines: str) -> None:
        """Keep the cookies of `Set-Cookie` headers that came from a URL, but for those that are too long."""
        headers = Headers([("Set-Cookie", line) for line in lines if len(line.split(";")[0]) <= LONGEST_COOKIE])
        self.jar.extract_cookies(_WithHeaders(headers), Request(url))  # type: ignore[arg-type]


class _WithHeaders:
    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def info(self) -> Any:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return self._headers.getlist(name) or default


def _is_strict(cookie: Cookie) -> bool:
    return cookie.get_nonstandard_attr("SameSite") == "Strict"
