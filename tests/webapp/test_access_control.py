"""Access control: every route and method with hostile input, as an anonymous visitor and as another user."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from quart import Quart, request, websocket
from quart.signals import request_started, websocket_started
from werkzeug.routing import Rule
from wtforms.fields.core import UnboundField

from client import PASSWORD, Visitor
from databases import run_sql
from payloads import CARRIED_OUT, METHODS, Answer, Attack, Request, attacks, request_of, send
from quartlogin.accounts import get_accounts
from quartlogin.accounts.pages.forms import CSRFForm
from quartlogin.accounts.pages.user_agents import describe
from quartlogin.accounts.security.rate_limits import RateLimits

NewVisitor = Callable[[], Visitor]

BROWSER = "Mozilla/5.0 (X11; FreeBSD amd64; rv:115.0) Gecko/20100101 Firefox/115.0"
ADDRESS = "203.0.113.77"
FIELDS = sorted(
    {name for form in CSRFForm.__subclasses__() for name, field in vars(form).items() if type(field) is UnboundField}
)
#: Fields as somebody fills them in who has an account: with these, pages do what they are for.
HONEST = {
    "username": "Mallory",
    "password": PASSWORD,
    "current_password": PASSWORD,
    "new_password": PASSWORD,
    "name": "backup",
    "days": "1",
}


@dataclass(frozen=True)
class Victim:
    """Somebody who does nothing while the walk lasts: nothing of hers may be told, and nothing may change."""

    database: str
    user_id: str
    public_ids: list[str]
    secrets: list[bytes]

    def rows(self) -> set[tuple[Any, ...]]:
        columns = {"users": "id", "accounts": "user_id", "logins": "user_id", "events": "user_id"}
        return {
            (table, *row)
            for table, column in columns.items()
            for row in run_sql(self.database, f"SELECT * FROM quartlogin_{table} WHERE {column} = '{self.user_id}'")
        }


@pytest.fixture(autouse=True)
async def patience(app: Quart) -> None:
    """Nobody is throttled: the walk is to reach what is behind."""
    parts = get_accounts(app)
    limit = 1_000_000
    parts.passwords.rate_limits = parts.registration.rate_limits = RateLimits(
        parts.store.attempts, parts.audit_log, limit, limit
    )


@pytest.fixture
async def alice(visitor: Visitor, database: str) -> Victim:
    """Alice has registered, with a browser and from an address of her own, and has made a token."""
    here: dict[str, Any] = {"headers": {"User-Agent": BROWSER}, "scope_base": {"client": (ADDRESS, 1)}}
    fields = {"username": "Alice Liddell", "password": PASSWORD}
    await visitor.post("/register", {"csrf_token": (await visitor.get("/register", **here)).token, **fields}, **here)
    fields = {"name": "Wonderland backup", "days": "9"}
    made = await visitor.post(
        "/account/tokens", {"csrf_token": (await visitor.get("/account", **here)).token, **fields}, **here
    )
    token = re.findall(r"<code>([\w.-]{40,})</code>", made.text)
    [(user_id,)] = run_sql(database, "SELECT id FROM quartlogin_users")
    public_ids = [public_id for (public_id,) in run_sql(database, "SELECT public_id FROM quartlogin_logins")]
    assert (len(token), len(public_ids)) == (1, 2)
    hers = ["Alice Liddell", user_id, *public_ids, "Wonderland backup", BROWSER, describe(BROWSER), ADDRESS, *token]
    return Victim(database, user_id, public_ids, [text.lower().encode() for text in hers])


class Walker:
    """Somebody who keeps to one cookie, whatever the answers say, and comes in again when it is worth nothing.

    Args:
        app: Where the walk goes.
        new_visitor: Makes the browser in which the cookie is got.
        name: Whom to be signed in as; nobody, if it is empty.
        victim: Whose things the walker is after.
    """

    def __init__(self, app: Quart, new_visitor: NewVisitor, name: str, victim: Victim) -> None:
        self._app = app
        self._new_visitor = new_visitor
        self._name = name
        self._victim = victim
        self._cookie = b""
        self._attacks: list[Attack] = []

    async def come_in(self) -> None:
        """Get a cookie, and the token for forms that goes with it."""
        visitor = self._new_visitor()
        if self._name and (await visitor.register(self._name)).status != 302:
            await visitor.sign_in(self._name)
        token = (await visitor.get("/account" if self._name else "/login")).token
        parts = [text.encode() for text in (*self._victim.public_ids, self._victim.user_id)]
        self._attacks = list(attacks(FIELDS, {"csrf_token": token, **HONEST}, parts))
        self._cookie = f"quartlogin={visitor.cookies['quartlogin']}".encode()

    async def is_in(self) -> bool:
        headers = ((b"host", b"localhost"), (b"user-agent", b"Quart"), (b"cookie", self._cookie))
        answer = await send(self._app, Request("GET", b"/api/me", headers=headers))
        return answer.status == 200 and f'"username":"{self._name}"'.encode() in answer.body

    async def walk(self) -> list[str]:
        """Attack every route with every method; returns what is wrong with the answers.

        What a route does not take is refused alike everywhere, so each attack is sent so to one route out of a few.
        """
        await self.come_in()
        faults, every, a_few = [], range(len(self._attacks)), 13
        for place, rule in enumerate(self._app.url_map.iter_rules()):
            taken = {"WEBSOCKET"} if rule.websocket else {*(rule.methods or ())} - {"HEAD", "OPTIONS"}
            for method in sorted({*METHODS, *taken}):
                chosen = every if method in taken else every[place % a_few :: a_few]
                faults += await self._attack(rule, method, chosen, is_taken=method in taken)
        return faults

    async def _attack(self, rule: Rule, method: str, chosen: range, *, is_taken: bool) -> list[str]:
        faults, before = [], self._victim.rows()
        for number in chosen:
            attack = self._attacks[number]
            made = request_of(attack, method, rule.rule, self._cookie, is_websocket=method == "WEBSOCKET")
            answer = await send(self._app, made)
            faults += [f"{made}: {fault}" for fault in faults_of(made, answer, self._victim)]
            if self._name and is_taken and number == chosen[0] and is_refused(answer):
                faults.append(f"{made}: is shut to {self._name}, so the walk shows nothing")
            if self._name and answer.header(b"set-cookie") and not await self.is_in():
                await self.come_in()
        if self._name and not await self.is_in():
            faults.append(f"{method} {rule.rule} ended the sign-in of {self._name} without a word")
            await self.come_in()
        if changes := before ^ self._victim.rows():
            faults.append(f"{method} {rule.rule} changed what is the victim's: {changes}")
        return faults


def is_refused(answer: Answer) -> bool:
    """Tell whether an answer says no more than who may not come in: for want of a login, or of a form's token."""
    leads_away = answer.header(b"location").startswith((b"/login", b"/reauthenticate"))
    return leads_away or answer.status in {401, 403} or b"This form was open for too long" in answer.body


def faults_of(made: Request, answer: Answer, victim: Victim) -> Iterator[str]:
    """Say what is wrong with an answer."""
    is_page = answer.header(b"content-type").startswith(b"text/html")
    heads = b"\n".join(b": ".join(pair) for pair in answer.headers)
    told = (heads + answer.body).lower()
    if answer.status >= 500:
        yield f"{answer.status} {answer.body[:300]!r}"
    if leaks := [secret for secret in victim.secrets if secret in told and not made.says(secret)]:
        yield f"tells {leaks}"
    if is_page and b"frame-ancestors 'none'" not in answer.header(b"content-security-policy"):
        yield "may be framed"
    if is_page and answer.header(b"x-content-type-options") != b"nosniff":
        yield "may be sniffed"
    if is_page and (found := [word for word in CARRIED_OUT if word in answer.body]):
        yield f"has {found} in its page"
    if any(re.search(rb"[\r\n\0]", part) for pair in answer.headers for part in pair):
        yield f"has a header that no server sends: {heads!r}"


@contextmanager
def routes_reached() -> Iterator[set[str]]:
    """Collect the addresses of routes that requests really come to."""
    reached: set[str] = set()

    async def note(_: Quart, **__: Any) -> None:
        connection: Any = request or websocket
        if connection.url_rule is not None:
            reached.add(connection.url_rule.rule)

    with request_started.connected_to(note), websocket_started.connected_to(note):
        yield reached


def faults_of_log(records: list[logging.LogRecord]) -> list[str]:
    """Find errors that nobody was told of, and entries that would be more than one line."""
    told = [(record.levelno, record.getMessage()) for record in records]
    return [text for level, text in told if level >= logging.ERROR or not text.isprintable()]


@pytest.mark.slow
@pytest.mark.requirement("8.2.2", "15.3.5")
@pytest.mark.parametrize("name", ["", "Mallory"], ids=["nobody", "another user"])
async def test_access_control_no_route_exposes_or_changes_another_users_data(
    app: Quart, new_visitor: NewVisitor, alice: Victim, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin")

    with routes_reached() as reached:
        faults = await Walker(app, new_visitor, name, alice).walk()

    assert not faults, "\n".join([f"{len(faults)} faults, such as:", *faults[:10]])
    assert faults_of_log(caplog.records) == []
    assert reached == {rule.rule for rule in app.url_map.iter_rules()}
