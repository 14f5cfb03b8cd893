"""Cookie theft and replay against a model: in any order of actions, the application agrees with the model.

Each example is a sequence of steps of several browsers, thieves with copies of their cookies, API tokens, and a clock.
After each step every session and every token is tried, and every old cookie of each ended login.

MODEL_EXAMPLES and MODEL_STEPS in the environment set the number of examples and their length.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, multiple, rule

from client import PASSWORD, set_active
from model import IDLE, MINUTE, REMEMBER, SESSION, Holder, Site, Token

pytestmark = pytest.mark.slow

DAY = 24 * 60 * MINUTE
#: Failed sign-ins under one name; more of them may be throttled.
MAX_FAILURES = 3
#: Of browsers and thieves together.
MOST_HOLDERS = 8

names = st.sampled_from(["Alice", "Bob"])
waits = st.sampled_from([0, 1, 29, 30, 31])
Story = Callable[..., Coroutine[Any, Any, Any]]


def told(**strategies: Any) -> Callable[[Story], Any]:
    """Make a rule of a coroutine function; it runs on the machine's own event loop."""

    def decorate(story: Story) -> Any:
        @rule(**strategies)
        @wraps(story)
        def run(self: Site, **drawn: Any) -> Any:
            return self.run(story(self, **drawn))

        return run

    return decorate


class Stories(Site):
    """What people and thieves can do."""

    browsers, thieves = Bundle("browsers"), Bundle("thieves")
    anybody = browsers | thieves

    def __init__(self) -> None:
        super().__init__()
        self.holders: list[Holder] = []
        self.failures: Counter[str] = Counter()
        self.tried: set[str] = set()

    def teardown(self) -> None:
        """At last everybody comes back, and every cookie of what has ended is tried once more."""
        try:
            if self.all_went_well:
                self.run(self.end_well())
        finally:
            super().teardown()

    async def end_well(self) -> None:
        for holder in self.holders:
            await self.visit(holder)
        self.tried.clear()
        await self.try_what_has_ended()

    # --- what people do

    @initialize(target=browsers)
    def open_browsers(self) -> Any:
        self.holders = [Holder(name=name) for name in ("Alice", "Alice", "Bob")]
        alice, _, bob = self.holders
        for browser in (alice, bob):
            self.run(self.begin(browser, "/register", None, username=browser.name, password=PASSWORD))
        for browser in self.holders:
            self.run(self.sign_in(browser, self.model.people[browser.name], remember=True))
        return multiple(*self.holders)

    @told(browser=browsers, name=names, remember=st.booleans())
    async def sign_in_or_register(self, browser: Holder, name: str, remember: bool) -> None:
        person = self.model.people.get(name)
        if person is None:
            await self.begin(browser, "/register", None, username=name, password=PASSWORD)
        elif person.is_active:
            await self.sign_in(browser, person, remember=remember)
        else:
            await self.fail_to_sign_in(browser, name, person.password)

    @told(browser=browsers, name=names)
    async def type_a_former_password(self, browser: Holder, name: str) -> None:
        person = self.model.people.get(name)
        is_former = person is None or person.password != PASSWORD
        await self.fail_to_sign_in(browser, name, PASSWORD if is_former else "not the right password")

    async def fail_to_sign_in(self, browser: Holder, name: str, password: str) -> None:
        if self.failures[name] < MAX_FAILURES:
            self.failures[name] += 1
            answer = await self.send_first(browser, "/login", username=name, password=password)
            assert (answer.status, REMEMBER in answer.cookies) == (400, False)
            self.keep(browser, answer)

    @told(holder=anybody)
    async def come_by(self, holder: Holder) -> None:
        await self.visit(holder)

    @told(holder=anybody, comes_back=st.booleans())
    async def close(self, holder: Holder, comes_back: bool) -> None:
        holder.jar.pop(SESSION, None)
        if comes_back:
            await self.visit(holder)

    @told(target=thieves, browser=browsers, what=st.sampled_from([SESSION, REMEMBER, SESSION + REMEMBER]))
    async def copy_cookies(self, browser: Holder, what: str) -> Any:
        await self.enter(browser)
        jar = {name: value for name, value in browser.jar.items() if name == what or what == SESSION + REMEMBER}
        if not jar or len(self.holders) >= MOST_HOLDERS:
            return multiple()
        self.holders.append(Holder(jar))
        return self.holders[-1]

    @told(target=thieves, browser=browsers, turns=st.lists(st.tuples(st.booleans(), waits), min_size=2, max_size=5))
    async def share_a_remember_cookie(self, browser: Holder, turns: list[tuple[bool, int]]) -> Any:
        """A thief and the owner come back by turns, closing their browsers in between."""
        await self.enter(browser)
        if REMEMBER not in browser.jar or len(self.holders) >= MOST_HOLDERS:
            return multiple()
        self.holders.append(thief := Holder({REMEMBER: browser.jar[REMEMBER]}))
        for is_thief, seconds in turns:
            holder = thief if is_thief else browser
            holder.jar.pop(SESSION, None)
            await self.visit(holder)
            await self.wait_for(seconds)
        return thief

    @told(thief=consumes(thieves))
    async def lose_interest(self, thief: Holder) -> None:
        self.holders.remove(thief)

    @told(holder=anybody)
    async def sign_out(self, holder: Holder) -> None:
        if await self.visit(holder):
            answer = await self.send(holder, "/logout", "/logout")
            self.model.end_named_by(holder.jar)
            self.forget(holder, answer)

    @told(browser=browsers)
    async def type_the_password_again(self, browser: Holder) -> None:
        if session := await self.enter(browser):
            await self.type_again(browser, session)

    @told(browser=browsers)
    async def change_the_password(self, browser: Holder) -> None:
        new = f"another sentence, number {len(self.model.logins)}"
        session = await self.enter(browser)
        old = "" if session is None else session.login.person.password
        if sent := await self.send_fresh(browser, "/account/password", current_password=old, new_password=new):
            session, answer = sent
            assert answer.status == 302, answer
            session.login.person.password = new
            self.model.end_all(session.login.person, but=self.renew(browser, session, answer))

    @told(holder=anybody, which=st.integers(0, 5))
    async def end_one_sign_in(self, holder: Holder, which: int) -> None:
        session = await self.enter(holder)
        if session is None:
            return
        listed = (await self.ask(holder.jar, "/account")).found(r"/account/logins/(\w+)/revoke")
        alive, possible = self.model.refs_of(session.login.person)
        assert alive <= set(listed) <= possible
        public_id = listed[which % len(listed)]
        if sent := await self.send_fresh(holder, f"/account/logins/{public_id}/revoke"):
            for login in self.model.logins:
                login.has_ended = login.has_ended or login.public_id == public_id
            (self.forget if public_id == session.login.public_id else self.keep)(holder, sent[1])

    @told(holder=anybody)
    async def end_all_others(self, holder: Holder) -> None:
        await self.end_others(holder)

    async def end_others(self, holder: Holder) -> None:
        if sent := await self.send_fresh(holder, "/account/logins/revoke-others"):
            self.model.end_all(sent[0].login.person, but=sent[0].login)
            self.keep(holder, sent[1])

    @told(browser=browsers)
    async def delete_the_account(self, browser: Holder) -> None:
        session = await self.enter(browser)
        password = "" if session is None else session.login.person.password
        if sent := await self.send_fresh(browser, "/account/delete", password=password):
            person = sent[0].login.person
            del self.model.people[person.name]
            self.model.end_all(person, also_tokens=True)
            self.forget(browser, sent[1])

    @told(name=names, again=st.booleans())
    async def disable_or_enable(self, name: str, again: bool) -> None:
        if person := self.model.people.get(name):
            for _ in range(2 if again and person.is_active else 1):
                person.is_active = not person.is_active
                await set_active(self.app, name, active=person.is_active)
                self.model.end_all(person, also_tokens=True)

    @told(browser=browsers, days=st.sampled_from(["1", "366"]))
    async def make_a_token(self, browser: Holder, days: str) -> None:
        if sent := await self.send_fresh(browser, "/account/tokens", name="a program", days=days):
            [text], public_ids = (
                sent[1].found(r"<code>([\w.-]{40,})</code>"),
                sent[1].found(r"/account/tokens/(\w+)/revoke"),
            )
            [public_id] = set(public_ids) - {token.public_id for token in self.model.tokens}
            person, until = sent[0].login.person, self.model.now + int(days) * DAY
            self.model.tokens.append(Token(text, person, public_id, until))
            self.keep(browser, sent[1])

    @told(browser=browsers, which=st.integers(0, 1))
    async def revoke_a_token(self, browser: Holder, which: int) -> None:
        if session := await self.enter(browser):
            tokens = [token for token in self.model.tokens if self.model.token_counts(token)]
            own = [token for token in tokens if token.person is session.login.person]
            for token in own[which:][:1]:
                if sent := await self.send_fresh(browser, f"/account/tokens/{token.public_id}/revoke"):
                    token.has_ended = True
                    self.keep(browser, sent[1])

    # --- time

    @told(seconds=waits | st.sampled_from([MINUTE, 5 * MINUTE, IDLE - MINUTE, IDLE]))
    async def wait(self, seconds: int) -> None:
        await self.wait_for(seconds)

    async def wait_for(self, seconds: int) -> None:
        self.model.now += seconds
        await self.try_all()

    @told(holder=anybody, times=st.sampled_from([4, 8]))
    async def go_on_until_the_password_is_old(self, holder: Holder, times: int) -> None:
        for _ in range(times):
            await self.wait_for(8 * MINUTE)
        await self.end_others(holder)

    @told()
    async def leave_a_token_alone_for_a_day(self) -> None:
        if self.model.tokens:
            await self.wait_for(DAY)

    @told(holder=anybody)
    async def only_one_is_used(self, holder: Holder) -> None:
        for _ in range(2):
            self.model.now += 6 * MINUTE
            await self.visit(holder)

    # --- what has to be so

    @invariant()
    def everybody_is_who_they_are(self) -> None:
        self.run(self.try_all())

    async def try_all(self) -> None:
        for holder in self.holders:
            await self.visit(Holder({name: text for name, text in holder.jar.items() if name == SESSION}))
        for token in self.model.tokens:
            answer = await self.ask({}, token=token.text)
            if self.model.token_counts(token):
                assert json.loads(answer.text) == {"id": token.person.id, "username": token.person.name}
            assert answer.status == (200 if self.model.token_counts(token) else 401)
        await self.try_what_has_ended()

    async def try_what_has_ended(self) -> None:
        """Try the cookies of what has ended, each once: they may never be anybody's."""
        for jar in self.model.dead_cookies():
            [cookie] = jar.values()
            if cookie not in self.tried:
                self.tried.add(cookie)
                assert (await self.ask(jar)).status == 401, "A cookie was taken whose sign-in has ended."


TestModel = Stories.TestCase
TestModel.settings = settings(
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "40")),
    stateful_step_count=int(os.environ.get("MODEL_STEPS", "30")),
    suppress_health_check=[HealthCheck.too_slow],
)
