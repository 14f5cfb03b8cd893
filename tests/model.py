"""Who is signed in, said in few words: what the application is held against in `webapp/test_model.py`.

The model knows of cookies only who was handed them and when, and nothing of ids, epochs, secrets or tables. The site is
the real application, asked as browsers and thieves ask it.
"""

import asyncio
import json
import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from hypothesis.stateful import RuleBasedStateMachine

from client import KEY, with_cheap_hashes
from quartlogin.accounts import get_accounts
from quartlogin.webapp import create_app

SESSION, REMEMBER = "quartlogin", "quartlogin_remember"

MINUTE = 60
#: The times that the application is set to, in seconds.
IDLE, LIFETIME = 10 * MINUTE, 60 * MINUTE
#: How long ago the password may have been typed for what matters most.
FRESH = 30 * MINUTE
#: How long a remember cookie counts after it was replaced: an honest browser sends two requests at once.
GRACE = 30
#: How far behind it may be what is known of when a sign-in was used last.
RESOLUTION = MINUTE

Jar = dict[str, str]

#: What may be answered: that somebody is signed in, that nobody is, or either of them.
Answers = frozenset[bool]
YES, NO, EITHER = Answers({True}), Answers({False}), Answers({True, False})


@dataclass(eq=False)
class ImportedUser:
    """Somebody with an account."""

    id: str
    name: str
    password: str
    is_active: bool = True


@dataclass(eq=False)
class Login:
    """A sign-in, until it ends or the password is typed again: that makes a new one of it, with new cookies."""

    person: ImportedUser
    #: Its name on the account page.
    public_id: str
    made_at: float
    #: When its remember cookies expire, whatever they are replaced by.
    remembered_until: float
    used_at: float
    #: The remember cookies that were replaced, and when.
    replaced: dict[str, float] = field(default_factory=dict)
    #: Whether one of them was used again within its grace: then the application may end one of the two, or both.
    is_forked: bool = False
    #: Whether a remember cookie was used: from then on no session of it is fresh, wherever it is.
    is_resumed: bool = False
    has_ended: bool = False

    def goes_on(self, now: float) -> Answers:
        """Whether it has neither been ended nor ended by itself."""
        unused = now - self.used_at
        if self.has_ended or now - self.made_at >= LIFETIME or unused >= IDLE:
            return NO
        return YES if unused <= IDLE - RESOLUTION else EITHER

    def counts_with(self, cookie: str | None, now: float) -> Answers:
        """Whether a remember cookie counts, or a session that came with it."""
        if cookie is not None and now - self.replaced.get(cookie, now) > GRACE:
            return NO
        answers = self.goes_on(now)
        return EITHER if cookie is not None and self.is_forked and answers != NO else answers


@dataclass(frozen=True)
class Session:
    """What a session cookie stands for."""

    login: Login
    #: The remember cookie that it was handed out with, if there was one.
    came_with: str | None
    #: When the password was typed in it; `None` if a remember cookie made it.
    typed_at: float | None


@dataclass(eq=False)
class Token:
    """An API token."""

    text: str
    person: ImportedUser
    public_id: str
    expires_at: float
    has_ended: bool = False


@dataclass
class Model:
    """Everybody, and every cookie and token that was ever handed out."""

    now: float = 1_900_000_000.0
    people: dict[str, ImportedUser] = field(default_factory=dict)
    logins: list[Login] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    remembered: dict[str, Login] = field(default_factory=dict)
    #: The cookies that were answered as nobody's: they can never be somebody's again.
    refused: set[str] = field(default_factory=set)

    def time(self) -> float:
        """Return what the server's clock shows."""
        return self.now

    # --- what has to be answered

    def session_counts(self, cookie: str | None) -> Answers:
        """Whether a session cookie alone signs somebody in."""
        session = self.sessions.get(cookie or "")
        if session is None or cookie in self.refused:
            return NO
        return session.login.counts_with(session.came_with, self.now)

    def remember_counts(self, cookie: str | None) -> Answers:
        """Whether a remember cookie alone signs somebody in."""
        login = self.remembered.get(cookie or "")
        if login is None or cookie in self.refused or self.now >= login.remembered_until:
            return NO
        return login.counts_with(cookie, self.now)

    def token_counts(self, token: Token) -> bool:
        """Whether an API token does."""
        return not token.has_ended and self.now < token.expires_at

    def is_fresh(self, session: Session) -> bool:
        """Whether the password was typed lately in a session."""
        return session.typed_at is not None and not session.login.is_resumed and self.now - session.typed_at <= FRESH

    def dead_cookies(self) -> list[Jar]:
        """List every cookie, alone, that was ever handed out for a sign-in that has ended."""
        dead = [{SESSION: text} for text, session in self.sessions.items() if session.login.goes_on(self.now) == NO]
        return dead + [{REMEMBER: text} for text, login in self.remembered.items() if login.goes_on(self.now) == NO]

    def refs_of(self, person: ImportedUser) -> tuple[set[str], set[str]]:
        """Return which sign-ins the account page has to list, and which it may list."""
        answers = {login.public_id: login.goes_on(self.now) for login in self.logins if login.person is person}
        alive = {public_id for public_id, answer in answers.items() if answer == YES}
        return alive, {public_id for public_id, answer in answers.items() if answer != NO}

    # --- what happens

    def begin(
        self, person: ImportedUser, public_id: str, answered: Jar, remembered_until: float | None = None
    ) -> Login:
        """Somebody has typed the password, and these cookies were handed out."""
        until = self.now + LIFETIME if remembered_until is None else remembered_until
        login = Login(person, public_id, self.now, until, self.now)
        self.logins.append(login)
        remember = answered.get(REMEMBER)
        if remember:
            self.remembered[remember] = login
        self.sessions[answered[SESSION]] = Session(login, remember, self.now)
        return login

    def come_back(self, cookie: str, answered: Jar) -> Login:
        """A remember cookie was used; as a rule it is replaced."""
        login = self.remembered[cookie]
        login.is_forked = login.is_forked or cookie in login.replaced
        login.is_resumed = True
        new = answered.get(REMEMBER)
        if new:
            login.replaced.setdefault(cookie, self.now)
            self.remembered[new] = login
        self.sessions[answered[SESSION]] = Session(login, new or cookie, None)
        return login

    def refuse(self, jar: Jar) -> None:
        """These cookies were answered as nobody's. A remember cookie among them ends its sign-in for all."""
        login = self.remembered.get(jar.get(REMEMBER, ""))
        if login is not None and self.now < login.remembered_until:
            login.has_ended = True
        self.refused.update(jar.values())

    def end_named_by(self, jar: Jar) -> None:
        """End the sign-ins that a browser's cookies name: it signs out, or somebody else signs in there."""
        session, login = self.sessions.get(jar.get(SESSION, "")), self.remembered.get(jar.get(REMEMBER, ""))
        if session is not None:
            session.login.has_ended = True
        if login is not None and self.now < login.remembered_until:
            login.has_ended = True

    def end_all(self, person: ImportedUser, *, but: Login | None = None, also_tokens: bool = False) -> None:
        """End everything of somebody's."""
        for login in self.logins:
            login.has_ended = login.has_ended or (login.person is person and login is not but)
        for token in self.tokens:
            token.has_ended = token.has_ended or (also_tokens and token.person is person)


@dataclass(frozen=True)
class Answer:
    """What was answered, and the cookies that it sets; those that it deletes are empty."""

    status: int
    text: str = field(repr=False)
    location: str
    cookies: Jar

    @property
    def form_token(self) -> str:
        return self.found(r'name="csrf_token" value="(\w+)"')[0]

    def found(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.text, re.DOTALL)


@dataclass(eq=False)
class Holder:
    """A browser, or a thief's: whoever holds cookies."""

    jar: Jar = field(default_factory=dict)
    #: Who signs in with this browser when nobody is signed in; a thief does not know any password.
    name: str = ""
    #: What was answered last when a page was opened.
    page: Answer = Answer(0, "", "", {})

    def __repr__(self) -> str:
        return f"<{'+'.join(self.jar) or 'no cookies'}>"


class Site(RuleBasedStateMachine):
    """The application on a database of its own, and requests to it, each of which is held against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.all_went_well = Model(), True
        self.clock = mock.patch("time.time", self.model.time)
        self.clock.start()
        self.folder, self.loop = TemporaryDirectory(), asyncio.new_event_loop()
        database, times = str(Path(self.folder.name) / "people.sqlite3"), (IDLE // MINUTE, LIFETIME // MINUTE)
        self.app = with_cheap_hashes(
            create_app(DATABASE=database, SECRET_KEY=KEY, LOGIN_IDLE_TIMEOUT=times[0], LOGIN_LIFETIME=times[1])
        )
        self.serving = self.app.test_app()
        self.run(self.serving.startup())

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(story)
        except BaseException:
            self.all_went_well = False
            raise

    def teardown(self) -> None:
        self.run(self.serving.shutdown())
        self.loop.close()
        self.clock.stop()
        self.folder.cleanup()

    async def ask(self, jar: Jar, path: str = "/api/me", form: Jar | None = None, token: str = "") -> Answer:
        """Send one request with these cookies."""
        headers = {"Accept": "application/json"} if path == "/api/me" else {}
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if token:
            headers["Authorization"] = f"Bearer {token}"
        client: Any = self.app.test_client(use_cookies=False)
        answer = await client.open(path, method="GET" if form is None else "POST", headers=headers, form=form)
        set_by = [SimpleCookie(header) for header in answer.headers.getlist("Set-Cookie")]
        cookies = {name: morsel.value for cookie in set_by for name, morsel in cookie.items()}
        await get_accounts(self.app).user_loader.last_seen.flush()
        return Answer(
            answer.status_code, await answer.get_data(as_text=True), answer.headers.get("Location", ""), cookies
        )

    def keep(self, holder: Holder, answer: Answer) -> None:
        """Put the cookies of an answer into a jar. Of a session that only changes its contents, the meaning stays."""
        before, after = holder.jar.get(SESSION, ""), answer.cookies.get(SESSION)
        if after and before in self.model.sessions:
            self.model.sessions.setdefault(after, self.model.sessions[before])
        holder.jar = {name: value for name, value in {**holder.jar, **answer.cookies}.items() if value}

    async def visit(self, holder: Holder, path: str = "/api/me") -> Session | None:
        """Open a page with all cookies, as browsers do; returns the session if it is somebody's.

        The pages with which an anonymous visitor begins send whoever is signed in elsewhere.
        """
        model, jar = self.model, dict(holder.jar)
        by_session, by_cookie = model.session_counts(jar.get(SESSION)), model.remember_counts(jar.get(REMEMBER))
        answer = holder.page = await self.ask(jar, path)
        is_in = answer.status == (200 if path == "/api/me" else 302)
        assert is_in or answer.status == (401 if path == "/api/me" else 200), answer
        if not is_in:
            assert YES not in (by_session, by_cookie), "Somebody was signed out before an end."
            self.keep(holder, answer)
            model.refuse(jar)
            assert REMEMBER not in holder.jar
            return None
        if SESSION in answer.cookies:
            assert by_cookie != NO, "A remember cookie was taken that is worth nothing."
            assert by_session != YES
            login = model.come_back(jar[REMEMBER], answer.cookies)
        else:
            assert by_session != NO, "A session was taken that is worth nothing."
            assert REMEMBER not in answer.cookies
            login = model.sessions[jar[SESSION]].login
        if path == "/api/me":
            assert json.loads(answer.text) == {"id": login.person.id, "username": login.person.name}
        login.used_at = model.now
        self.keep(holder, answer)
        return model.sessions[holder.jar[SESSION]]

    async def send(self, holder: Holder, path: str, page: str = "/account", **fields: str) -> Answer:
        """Send a form of somebody who is signed in, with the token from a page."""
        shown = await self.ask(holder.jar, page)
        assert REMEMBER not in shown.cookies
        self.keep(holder, shown)
        return await self.ask(holder.jar, path, {"csrf_token": shown.form_token, **fields})

    async def send_first(self, holder: Holder, path: str, **fields: str) -> Answer:
        """Send the form of a page that visitors see; whoever is signed in has to take the token from elsewhere."""
        if await self.visit(holder, path):
            return await self.send(holder, path, **fields)
        return await self.ask(holder.jar, path, {"csrf_token": holder.page.form_token, **fields})

    async def send_fresh(self, holder: Holder, path: str, **fields: str) -> tuple[Session, Answer] | None:
        """Send a form that asks for a password typed lately; `None` if a thief rightly gets nowhere with it."""
        session = await self.enter(holder)
        if session is None:
            return None
        answer = await self.send(holder, path, **fields)
        if not self.model.is_fresh(session):
            assert (answer.status, answer.location[:15]) == (302, "/reauthenticate")
            self.keep(holder, answer)
            if not holder.name:
                return None
            session = await self.type_again(holder, session)
            answer = await self.send(holder, path, **fields)
        assert answer.status in {200, 302}, answer
        assert not answer.location.startswith("/reauthenticate")
        return session, answer

    async def enter(self, holder: Holder) -> Session | None:
        """Visit the site, and sign in if nobody is signed in and that is possible."""
        session = await self.visit(holder)
        person = self.model.people.get(holder.name)
        if session is None and person is not None and person.is_active:
            await self.sign_in(holder, person, remember=True)
            session = await self.visit(holder)
        return session

    async def sign_in(self, holder: Holder, person: ImportedUser, *, remember: bool) -> None:
        """Type a name and the password."""
        fields = {"username": person.name, "password": person.password} | ({"remember": "y"} if remember else {})
        await self.begin(holder, "/login", person, **fields)

    async def type_again(self, holder: Holder, session: Session) -> Session:
        """Type the password of whoever is signed in."""
        password = session.login.person.password
        answer = await self.send(holder, "/reauthenticate", "/reauthenticate", password=password)
        assert answer.status == 302, answer
        self.renew(holder, session, answer)
        return self.model.sessions[holder.jar[SESSION]]

    async def begin(self, holder: Holder, path: str, person: ImportedUser | None, **fields: str) -> None:
        """Sign in, or register, in a browser in which somebody else may be signed in."""
        answer = await self.send_first(holder, path, **fields)
        assert answer.status == 302, answer
        self.model.end_named_by(holder.jar)
        who = json.loads((await self.ask(answer.cookies)).text)
        if person is None:
            assert all(login.person.id != who["id"] for login in self.model.logins)
            person = self.model.people[who["username"]] = ImportedUser(
                who["id"], fields["username"], fields["password"]
            )
        assert who == {"id": person.id, "username": person.name}
        login = self.model.begin(person, "", answer.cookies)
        self.keep(holder, answer)
        assert (REMEMBER in holder.jar) is ("remember" in fields)
        page = await self.ask(holder.jar, "/account")
        self.keep(holder, page)
        [login.public_id] = page.found(r'class="badge".*?/account/logins/(\w+)/revoke')

    def renew(self, holder: Holder, session: Session, answer: Answer) -> Login:
        """The password was typed again: the sign-in goes on with new cookies, and the old ones are worth nothing."""
        old = session.login
        is_remembered = REMEMBER in holder.jar and self.model.now < old.remembered_until
        assert bool(answer.cookies.get(REMEMBER)) is is_remembered
        old.has_ended = True
        login = self.model.begin(old.person, old.public_id, answer.cookies, old.remembered_until)
        self.keep(holder, answer)
        return login

    def forget(self, holder: Holder, answer: Answer) -> None:
        """Nobody is signed in here any more, and the browser has to forget its remember cookie."""
        assert answer.status == 302, answer
        self.keep(holder, answer)
        assert REMEMBER not in holder.jar
