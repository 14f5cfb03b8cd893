"""Cookie theft (pass-the-cookie): a copied remember cookie and its owner never both stay signed in."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quart import Quart

from amounts import examples
from client import KEY, PASSWORD, add_user, with_cheap_hashes
from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.logins.remember_rotation import GRACE
from quartlogin.accounts.features.logins.user_loader import LoginFinder
from quartlogin.webapp import create_app
from sockets import Socket, open_socket

SESSION, REMEMBER = "quartlogin", "quartlogin_remember"

Jar = dict[str, str]


@dataclass
class Clock:
    """The time of the server."""

    now: float = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """The application, and browsers' requests to it, whose cookies travel at a pace of their own."""

    app: Quart
    clock: Clock
    database: str

    async def ask(self, jar: Jar, path: str = "/api/me", **options: Any) -> tuple[bool, Jar]:
        """Send a request with these cookies; returns whether it was a signed-in user's, and the cookies it sets."""
        client = self.app.test_client(use_cookies=False)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        answer = await client.get(path, headers={**headers, **options})
        assert answer.status_code in {200, 302, 401}, await answer.get_data(as_text=True)
        return answer.status_code == 200, set_by(answer.headers.getlist("Set-Cookie"))

    async def sign_in(self, username: str = "Alice") -> Jar:
        """Sign in with `remember`, as a form does; returns the browser's cookies."""
        client = self.app.test_client()
        page = await (await client.get("/login")).get_data(as_text=True)
        token = page.partition('name="csrf_token" value="')[2][:64]
        fields = {"csrf_token": token, "username": username, "password": PASSWORD, "remember": "y"}
        answer = await client.post("/login", form=fields)
        assert answer.status_code == 302
        await client.get("/")  # what was flashed is shown
        return {cookie.name: cookie.value or "" for cookie in client.cookie_jar or ()}

    def events(self, kind: str) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM quartlogin_events WHERE kind = ?", [kind]).fetchall()
        return int(count)


def set_by(headers: list[str]) -> Jar:
    """Return the cookies that an answer sets; those that it deletes are empty."""
    return {name: morsel.value for header in headers for name, morsel in SimpleCookie(header).items()}


def put_into(jar: Jar, cookies: Jar) -> None:
    jar.update(cookies)
    for name in [name for name, value in jar.items() if not value]:
        del jar[name]


@asynccontextmanager
async def a_site() -> AsyncIterator[Site]:
    with TemporaryDirectory() as folder, mock.patch("time.time", clock := Clock()):
        database = str(Path(folder) / "people.sqlite3")
        app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
        async with app.test_app():
            await add_user(app, "Alice")
            yield Site(app, clock, database)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


async def visit(site: Site, jar: Jar) -> bool:
    """Open a page, and keep the cookies that it sets."""
    is_signed_in, cookies = await site.ask(jar)
    put_into(jar, cookies)
    return is_signed_in


# --- by example


async def test_each_use_of_the_cookie_replaces_its_secret(site: Site) -> None:
    jar = await site.sign_in()
    before = jar[REMEMBER]
    del jar[SESSION]

    assert await visit(site, jar)

    assert jar[REMEMBER] != before
    assert SESSION in jar


@pytest.mark.parametrize(("seconds", "counts"), [(0, True), (GRACE, True), (GRACE + 1, False)])
async def test_replay_of_a_used_remember_token_is_accepted_for_thirty_seconds(
    site: Site, seconds: int, counts: bool
) -> None:
    jar = await site.sign_in()
    copy = {REMEMBER: jar[REMEMBER]}
    del jar[SESSION]
    await visit(site, jar)

    site.clock.now += seconds

    assert (await site.ask(copy))[0] is counts


async def test_replay_of_a_remember_token_is_accepted_for_thirty_seconds_after_two_rotations_too(site: Site) -> None:
    jar = await site.sign_in()
    copy = {REMEMBER: jar[REMEMBER]}
    for _ in range(2):
        jar.pop(SESSION)
        await visit(site, jar)
        site.clock.now += 10

    assert (await site.ask(copy))[0]


async def test_cookie_theft_reuse_of_a_used_remember_token_ends_the_login_for_both(site: Site) -> None:
    jar = await site.sign_in()
    thief = {REMEMBER: jar.pop(REMEMBER)}
    jar = {REMEMBER: thief[REMEMBER]}
    await visit(site, jar)
    site.clock.now += GRACE + 1

    assert not await visit(site, thief)

    assert not await visit(site, jar)
    assert REMEMBER not in jar
    assert site.events("token_reuse_detected") == 1


async def test_cookie_theft_the_owners_session_ends_when_the_copy_is_used(site: Site) -> None:
    jar = await site.sign_in()
    thief = {REMEMBER: jar[REMEMBER]}
    assert await visit(site, thief)
    site.clock.now += GRACE + 1

    assert not await visit(site, jar)

    assert not await visit(site, thief)
    assert site.events("token_reuse_detected") == 1


async def test_cookie_theft_a_copy_used_within_the_grace_cannot_stay_beside_the_owner(site: Site) -> None:
    jar = await site.sign_in()
    thief = {REMEMBER: jar[REMEMBER]}
    del jar[SESSION]
    assert await visit(site, jar)
    site.clock.now += GRACE - 1
    assert await visit(site, thief)

    for _ in range(3):
        site.clock.now += GRACE + 1
        owner_goes_on = await visit(site, jar)
        site.clock.now += 1
        thief_goes_on = await visit(site, thief)

    assert not owner_goes_on
    assert not thief_goes_on
    assert site.events("token_reuse_detected") == 1


async def test_cookie_theft_is_reported_once_at_the_next_sign_in(site: Site) -> None:
    jar = await site.sign_in()
    thief = {REMEMBER: jar[REMEMBER]}
    await visit(site, thief)
    site.clock.now += GRACE + 1
    await visit(site, jar)

    told, told_again = await news_at_sign_in(site), await news_at_sign_in(site)

    assert "A copy of" in told
    assert "A copy of" not in told_again


async def news_at_sign_in(site: Site) -> str:
    client = site.app.test_client()
    page = await (await client.get("/login")).get_data(as_text=True)
    token = page.partition('name="csrf_token" value="')[2][:64]
    await client.post("/login", form={"csrf_token": token, "username": "Alice", "password": PASSWORD})
    return await (await client.get("/")).get_data(as_text=True)


async def test_cookie_theft_other_logins_of_the_user_continue(site: Site) -> None:
    jar, other = await site.sign_in(), await site.sign_in()
    thief = {REMEMBER: jar[REMEMBER]}
    await visit(site, thief)
    site.clock.now += GRACE + 1
    await visit(site, jar)

    assert await visit(site, other)


async def test_forks_without_end_are_not_begun(site: Site) -> None:
    jar = await site.sign_in()
    copy = {REMEMBER: jar[REMEMBER]}

    answers = [await site.ask(copy) for _ in range(20)]

    assert all(is_signed_in for is_signed_in, _ in answers)
    assert sum(REMEMBER in cookies for _, cookies in answers) == 8


# --- by every interleaving


@dataclass
class Browser:
    """One honest browser: its cookies, and its requests on the way there and back."""

    site: Site
    jar: Jar
    #: Sent, not yet with the server.
    sent: list[Jar] = field(default_factory=list)
    #: Answered, not yet back.
    answered: list[Jar] = field(default_factory=list)
    #: When the oldest request was sent that is still on its way, or whose answer was lost.
    since: float = 0
    has_lost_answers: bool = False
    all_went_well: bool = True

    @property
    def is_waiting(self) -> bool:
        return bool(self.sent or self.answered)

    def send(self) -> None:
        if not self.is_waiting and not self.has_lost_answers:
            self.since = self.site.clock.now
        self.sent.append(dict(self.jar))

    async def arrive(self, which: int) -> None:
        """One request reaches the server."""
        if self.sent:
            self._note(await self.site.ask(self.sent.pop(which % len(self.sent))))

    async def arrive_together(self) -> None:
        """All requests reach the server at the same moment."""
        jars, self.sent = self.sent, []
        for answer in await asyncio.gather(*(self.site.ask(jar) for jar in jars)):
            self._note(answer)

    def come_back(self, which: int) -> None:
        """One answer reaches the browser."""
        if self.answered:
            put_into(self.jar, self.answered.pop(which % len(self.answered)))

    def restart(self) -> None:
        """The browser is closed and opened: what was on its way is lost, and so is the session."""
        self.has_lost_answers = self.has_lost_answers or self.is_waiting
        self.sent, self.answered = [], []
        self.jar.pop(SESSION, None)

    async def load(self) -> None:
        """Open a page, and wait for all that is on its way, as somebody does who is at the computer."""
        self.send()
        while self.sent:
            await self.arrive(0)
        while self.answered:
            self.come_back(0)
        self.has_lost_answers = False

    async def wait(self, seconds: int) -> None:
        """Let time pass. What was lost is asked for again, and what is on its way arrives, within the grace."""
        if self.site.clock.now + seconds - self.since > GRACE:
            await self.load()
        self.site.clock.now += seconds

    def _note(self, answer: tuple[bool, Jar]) -> None:
        is_signed_in, cookies = answer
        self.all_went_well = self.all_went_well and is_signed_in
        self.answered.append(cookies)


BROWSING = st.lists(
    st.one_of(
        st.just(("send",)),
        st.tuples(st.just("arrive"), st.integers(0, 5)),
        st.just(("arrive_together",)),
        st.tuples(st.just("come_back"), st.integers(0, 5)),
        st.just(("restart",)),
        st.tuples(st.just("wait"), st.sampled_from([1, 10, GRACE - 1, GRACE, GRACE + 1, 3600])),
    ),
    max_size=40,
)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


@pytest.mark.slow
@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow])
@given(steps=BROWSING)
def test_cookie_theft_one_browser_is_never_taken_for_two(steps: list[tuple[Any, ...]]) -> None:
    async def story() -> None:
        async with a_site() as site:
            browser = Browser(site, await site.sign_in(), since=site.clock.now)
            for name, *arguments in steps:
                step = getattr(browser, name)(*arguments)
                if asyncio.iscoroutine(step):
                    await step
            await browser.load()
            assert browser.all_went_well
            assert site.events("token_reuse_detected") == 0

    run(story())


async def test_race_a_request_in_flight_while_its_branch_is_closed_is_answered(site: Site) -> None:
    browser = Browser(site, await site.sign_in(), since=site.clock.now)
    browser.restart()
    browser.send()
    browser.send()
    await browser.arrive_together()
    browser.come_back(0)
    await browser.wait(GRACE - 1)
    browser.send()  # on the branch of the first answer
    browser.come_back(0)
    browser.since = site.clock.now
    await browser.wait(2)
    browser.send()  # on the branch of the second, which closes that of the first
    await browser.arrive(1)

    await browser.arrive(0)

    assert browser.all_went_well


TWO_BROWSERS = st.lists(
    st.tuples(
        st.sampled_from(["owner visits", "thief visits", "owner restarts", "thief restarts"]),
        st.sampled_from([0, 1, 10, GRACE, GRACE + 1, 3600]),
    ),
    min_size=2,
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(steps=TWO_BROWSERS, before=st.sampled_from(["at once", "after a restart"]))
def test_cookie_theft_a_thief_and_the_owner_never_both_stay_signed_in(
    steps: list[tuple[str, int]], before: str
) -> None:
    """Once both have used the cookie, or sessions made with it, only moments are left in which both are signed in."""

    async def story() -> None:
        async with a_site() as site:
            jars: dict[str, Jar] = {"owner": await site.sign_in()}
            if before == "after a restart":
                del jars["owner"][SESSION]
                await visit(site, jars["owner"])
                site.clock.now += 3600
            jars["thief"] = {REMEMBER: jars["owner"][REMEMBER]}
            seen: list[tuple[str, float]] = []
            for what, seconds in steps:
                who, does = what.split()
                if does == "restarts":
                    jars[who].pop(SESSION, None)
                elif await visit(site, jars[who]):
                    seen.append((who, site.clock.now))
                site.clock.now += seconds
            assert_that_one_stopped(seen)

    run(story())


def assert_that_one_stopped(seen: list[tuple[str, float]]) -> None:
    """Whoever comes first when the thief's first visit is a grace ago stays; the other has a grace left at the most."""
    stolen_at = min((at for who, at in seen if who == "thief"), default=float("inf"))
    later = [(who, at) for who, at in seen if at > stolen_at + GRACE]
    for stays, since in later[:1]:
        assert all(at <= since + GRACE for who, at in later if who != stays), json.dumps(seen)


# --- on a websocket, which cannot replace a cookie


@asynccontextmanager
async def a_page_left_open(
    site: Site, jar: Jar, every: timedelta | None = timedelta(milliseconds=20)
) -> AsyncIterator[Socket]:
    """A page that was opened with these cookies, and whose user is looked up again so often."""
    get_accounts(site.app).login_manager.websocket_recheck = every
    cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
    async with open_socket(site.app, "/account/live", Cookie=cookies) as socket:
        yield socket


async def looked_up_again() -> None:
    """Wait until the user of the open page was looked up, from the begin to the end."""
    looked_up = asyncio.Event()
    find = LoginFinder.find

    async def telling(logins: LoginFinder[Any], *args: Any) -> Any:
        found = await find(logins, *args)
        looked_up.set()
        return found

    with mock.patch.object(LoginFinder, "find", telling):
        async with asyncio.timeout(60):
            for _ in range(2):
                looked_up.clear()
                await looked_up.wait()


async def test_cookie_theft_a_websocket_of_a_copied_cookie_closes_a_grace_after_the_owners_use(site: Site) -> None:
    jar = await site.sign_in()
    del jar[SESSION]

    async with a_page_left_open(site, {REMEMBER: jar[REMEMBER]}) as thief:
        await thief.accepted()
        await visit(site, jar)
        site.clock.now += GRACE + 1

        assert await thief.code() == 1008

    assert await visit(site, jar)  # it may have been the owner's own page
    assert site.events("token_reuse_detected") == 0


async def test_cookie_theft_a_websocket_compares_its_remember_token_before_an_event(site: Site) -> None:
    jar = await site.sign_in()
    del jar[SESSION]

    async with a_page_left_open(site, {REMEMBER: jar[REMEMBER]}, every=None) as thief:
        await thief.accepted()
        await visit(site, jar)
        site.clock.now += GRACE + 1
        await site.sign_in()

        assert await thief.code() == 1008


async def test_a_socket_whose_cookie_still_counts_stays_open_and_leaves_it_as_it_is(site: Site) -> None:
    jar = await site.sign_in()
    del jar[SESSION]

    async with a_page_left_open(site, jar) as socket:
        await socket.accepted()
        for _ in range(3):
            site.clock.now += GRACE + 1
            await looked_up_again()
        await site.sign_in()

        assert (await socket.hear())["event"] == "signed_in"

    before = jar[REMEMBER]
    assert await visit(site, jar)
    assert jar[REMEMBER] != before


async def test_cookie_theft_a_websocket_with_a_used_remember_token_ends_the_login_and_notifies(site: Site) -> None:
    jar = await site.sign_in()
    thief = {REMEMBER: jar[REMEMBER]}
    del jar[SESSION]
    await visit(site, jar)
    site.clock.now += GRACE + 1

    async with a_page_left_open(site, thief) as socket:
        assert await socket.status() == 401

    assert not await visit(site, jar)
    assert site.events("token_reuse_detected") == 1
    assert "A copy of" in await news_at_sign_in(site)


async def test_a_socket_of_a_former_cookie_does_not_go_on_when_the_owner_confirms_the_password(site: Site) -> None:
    jar = await site.sign_in()
    copy = {REMEMBER: jar.pop(REMEMBER)}
    jar = dict(copy)

    async with a_page_left_open(site, copy) as thief:
        await thief.accepted()
        await visit(site, jar)
        await confirm(site, jar)

        assert await thief.code() == 1008


async def test_a_page_of_the_same_session_goes_on_when_the_password_is_confirmed(site: Site) -> None:
    jar = await site.sign_in()

    async with a_page_left_open(site, jar) as page:
        await page.accepted()
        await confirm(site, jar)
        site.clock.now += GRACE + 1
        await looked_up_again()
        await site.sign_in()

        assert (await page.hear())["event"] == "reauthenticated"


async def confirm(site: Site, jar: Jar) -> None:
    """Type the password again, in a browser with these cookies."""
    client = site.app.test_client(use_cookies=False)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
    page = await (await client.get("/reauthenticate", headers=cookies)).get_data(as_text=True)
    token = page.partition('name="csrf_token" value="')[2][:64]
    answer = await client.post("/reauthenticate", headers=cookies, form={"csrf_token": token, "password": PASSWORD})
    assert answer.status_code == 302
    put_into(jar, set_by(answer.headers.getlist("Set-Cookie")))
