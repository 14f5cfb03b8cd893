"""Race of time of check and time of use (TOCTOU): a request whose login ends on the way changes nothing.

A client decides when the body of its request arrives, and a guard checks before that. So each test sends a form without
its last byte to a real server, ends the login in one of the ways there are, and then sends the last byte.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from client import KEY, NEW_PASSWORD, PASSWORD, WRONG, everything_stored
from databases import run_sql
from held_back import WAITING
from quartlogin.webapp.cli import main
from servers import PATIENCE, SCRIPTS, Postgres, Server, free_port, running
from slow import mostly_slow

OTHER_PASSWORD = "a third staple, a third horse"


@dataclass
class Site:
    """A server, and the database behind it."""

    server: Server
    database: str
    waiting: Path

    def waits_for_body(self, path: str) -> int:
        """How often it has waited for the body of a request to this page."""
        return self.waiting.read_text().split("\n").count(path) if self.waiting.exists() else 0


@dataclass
class Browser:
    """A browser that waits for each answer."""

    site: Site
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def open(self, path: str, fields: dict[str, str] | None = None) -> tuple[HTTPResponse, str]:
        with closing(HTTPConnection("127.0.0.1", self.site.server.port, timeout=PATIENCE)) as connection:
            headers = {"Cookie": self.header} if self.cookies else {}
            if fields is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = None if fields is None else urlencode(fields)
            connection.request("GET" if fields is None else "POST", path, body, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie", []):
                self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
            return answer, answer.read().decode()

    def send(self, page: str, path: str, **fields: str) -> str | None:
        """Open a page and send a form of it; returns where that leads."""
        _, text = self.open(page)
        answer, _ = self.open(path, {"csrf_token": token_in(text), **fields})
        assert answer.status in {200, 302}, answer.status
        return answer.headers["Location"]


def token_in(page: str) -> str:
    return re.search(r'name="csrf_token" value="(\w+)"', page)[1]  # type: ignore[index]


@dataclass
class HeldBack:
    """A form that was sent but for its last byte, and that the server waits for."""

    connection: socket.socket
    last: bytes

    @classmethod
    def of(cls, browser: Browser, path: str, fields: dict[str, str], accept: str = "*/*") -> "HeldBack":
        body = urlencode(fields).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {browser.header}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        before = browser.site.waits_for_body(path)
        connection = socket.create_connection(("127.0.0.1", browser.site.server.port), timeout=PATIENCE)
        connection.sendall(head.encode() + body[:-1])
        deadline = time.monotonic() + PATIENCE
        while browser.site.waits_for_body(path) == before:
            assert time.monotonic() < deadline, f"{path} was answered before its body had arrived."
            time.sleep(0.01)
        return cls(connection, body[-1:])

    def finish(self) -> HTTPResponse:
        with self.connection:
            self.connection.sendall(self.last)
            answer = HTTPResponse(self.connection)
            answer.begin()
            answer.read()
            return answer


@dataclass
class Alice:
    """Somebody who is signed in with two browsers, and has a token."""

    site: Site
    name: str
    browser: Browser
    other: Browser
    public_id: str
    other_ref: str
    token_ref: str

    @classmethod
    def at(cls, site: Site) -> "Alice":
        name, browser, other = f"alice-{token_hex(4)}", Browser(site), Browser(site)
        public_ids: list[str] = []

        def note_new_ref() -> None:
            rows = run_sql(site.database, LOGINS.format(name=name))
            public_ids.extend(public_id for (public_id,) in rows if public_id not in public_ids)

        browser.send("/register", "/register", username=name, password=PASSWORD)
        note_new_ref()
        other.send("/login", "/login", username=name, password=PASSWORD)
        note_new_ref()
        browser.send("/account", "/account/tokens", name="backup", days="30")
        note_new_ref()
        return cls(site, name, browser, other, *public_ids)

    def forms(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Each form that somebody signed in can send."""
        _, page = self.browser.open("/account")
        token = {"csrf_token": token_in(page)}
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        return {
            "make a token": ("/account/tokens", {**token, "name": "kept", "days": "366"}),
            "revoke a token": (f"/account/tokens/{self.token_ref}/revoke", token),
            "end a login": (f"/account/logins/{self.other_ref}/revoke", token),
            "end the others": ("/account/logins/revoke-others", token),
            "change the password": ("/account/password", {**token, **change}),
            "change it with a wrong one": ("/account/password", {**token, **change, "current_password": WRONG}),
            "confirm the password": ("/reauthenticate", {**token, "password": PASSWORD}),
            "confirm a wrong one": ("/reauthenticate", {**token, "password": WRONG}),
            "delete with a wrong one": ("/account/delete", {**token, "password": WRONG}),
            "delete": ("/account/delete", {**token, "password": PASSWORD}),
            "sign out": ("/logout", token),
            "end this login": (f"/account/logins/{self.public_id}/revoke", token),
        }

    def operator(self, *command: str) -> None:
        done = CliRunner().invoke(main, [*command, "--database", self.site.database])
        assert done.exit_code == 0, done.output


#: What of the forms is answered as it is to somebody signed in: there is nothing left to do.
HARMLESS = {"sign out", "end this login"}
LOGINS = (
    "SELECT l.public_id FROM quartlogin_logins l JOIN quartlogin_users u ON u.id = l.user_id"
    " WHERE u.username = '{name}'"
)

#: Each way in which a login ends.
ENDINGS: dict[str, Callable[[Alice], object]] = {
    "signing out": lambda a: Browser(a.site, dict(a.browser.cookies)).send("/account", "/logout"),
    "signing in again": lambda a: Browser(a.site, dict(a.browser.cookies)).send(
        "/account", "/login", username=a.name, password=PASSWORD
    ),
    "the password typed again": lambda a: Browser(a.site, dict(a.browser.cookies)).send(
        "/reauthenticate", "/reauthenticate", password=PASSWORD
    ),
    "sign out everywhere else": lambda a: a.other.send("/account", "/account/logins/revoke-others"),
    "ended on the account page": lambda a: a.other.send("/account", f"/account/logins/{a.public_id}/revoke"),
    "password changed elsewhere": lambda a: a.other.send(
        "/account/password", "/account/password", current_password=PASSWORD, new_password=OTHER_PASSWORD
    ),
    "password changed in another tab": lambda a: Browser(a.site, dict(a.browser.cookies)).send(
        "/account/password", "/account/password", current_password=PASSWORD, new_password=OTHER_PASSWORD
    ),
    "account deleted": lambda a: a.other.send("/account/delete", "/account/delete", password=PASSWORD),
    "logins revoke REF": lambda a: a.operator("logins", "revoke", a.public_id),
    "logins revoke --user": lambda a: a.operator("logins", "revoke", "--user", a.name),
    "logins revoke --everyone": lambda a: a.operator("logins", "revoke", "--everyone", "--yes"),
    "user disable": lambda a: a.operator("user", "disable", a.name),
    "user set-password": lambda a: a.operator("user", "set-password", a.name, "--temporary"),
}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    database = str(folder / "people.sqlite3")
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres_server")
        name = f"people_{token_hex(8)}"
        run_sql(postgres.url, f"CREATE DATABASE {name}")
        database = postgres.url_of(name)
    command = [str(SCRIPTS / "hypercorn"), "held_back:make_app()", "--bind", f"127.0.0.1:{port}"]
    environment: dict[str, Any] = {
        "QUARTLOGIN_DATABASE": database,
        "QUARTLOGIN_SECRET_KEY": KEY,
        "QUARTLOGIN_LOGIN_RATE_LIMIT_PER_ADDRESS": "500",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        WAITING: str(folder / "waiting"),
    }
    with running(command, port, folder, **environment) as server:
        yield Site(server, database, folder / "waiting")
    if request.param == "postgresql":
        run_sql(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.slow
@pytest.mark.requirement("7.4.1", "7.4.2")
@pytest.mark.parametrize("ending", ENDINGS)
def test_toctou_a_request_whose_login_ends_on_the_way_writes_nothing(site: Site, ending: str) -> None:
    alice = Alice.at(site)
    held = {name: HeldBack.of(alice.browser, *form) for name, form in alice.forms().items()}
    ENDINGS[ending](alice)
    before = everything_stored(site.database)

    answers, wrote = {}, []
    for name, request in held.items():
        answer = request.finish()
        answers[name] = (answer.status, (answer.headers["Location"] or "").partition("?")[0])
        if everything_stored(site.database) != before:
            wrote.append(name)
            before = everything_stored(site.database)

    assert wrote == []
    assert {name: answer for name, answer in answers.items() if name not in HARMLESS} == {
        name: (302, "/login") for name in answers if name not in HARMLESS
    }


#: The forms that need a proof of the password from the last half an hour, and write something.
SENSITIVE = ["make a token", "revoke a token", "end a login", "end the others", "change the password", "delete"]


@pytest.mark.slow
@pytest.mark.requirement("7.5.1")
def test_toctou_a_request_whose_proof_is_gone_on_the_way_writes_nothing(site: Site) -> None:
    alice = Alice.at(site)
    held = [HeldBack.of(alice.browser, *alice.forms()[name]) for name in SENSITIVE]
    run_sql(site.database, "UPDATE quartlogin_logins SET proofs = '' WHERE kind = 'session'")
    before = everything_stored(site.database)

    answers = [request.finish() for request in held]

    assert {(answer.status, (answer.headers["Location"] or "").partition("?")[0]) for answer in answers} == {
        (302, "/reauthenticate")
    }
    assert everything_stored(site.database) == before


@pytest.mark.parametrize(
    "form", mostly_slow(["make a token", "change the password", "delete", "confirm the password"], quick=1)
)
def test_toctou_an_api_request_whose_login_ends_on_the_way_gets_401(site: Site, form: str) -> None:
    alice = Alice.at(site)
    held = HeldBack.of(alice.browser, *alice.forms()[form], accept="application/json")
    alice.operator("logins", "revoke", alice.public_id)

    answer = held.finish()

    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.slow
def test_each_of_these_requests_writes_while_its_login_is_valid(site: Site) -> None:
    names = [*Alice.at(site).forms()]
    silent = []
    for name in names:
        alice = Alice.at(site)
        held = HeldBack.of(alice.browser, *alice.forms()[name])
        before = everything_stored(site.database)
        held.finish()
        if everything_stored(site.database) == before:
            silent.append(name)

    assert silent == []
