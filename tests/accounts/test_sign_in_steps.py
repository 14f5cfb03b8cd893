"""What features do at a sign-in: they refuse, ask for one more step, and are told."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from code_words.feature import FOLDER, REFUSED, SCHEMA, CodeWords
from code_words.table import set_word
from quart import Blueprint, Quart, redirect, request
from quart.typing import ResponseReturnValue

from client import KEY, NEW_PASSWORD, PASSWORD, WRONG, Page, Visitor, set_active
from databases import both_databases, run_sql
from quartlogin import UserMixin, tracing
from quartlogin.accounts import (
    Accounts,
    Feature,
    Logins,
    Passwords,
    SignIn,
    Step,
    StepRequired,
    WrongCredentials,
    current_accounts,
    get_accounts,
)
from quartlogin.accounts.testing import create_user, use_cheap_hashes
from quartlogin.explaining import login_rules
from situations import Recorded, makes

WORD = "mellon"
STEP = "/login/code-word"


class Terms(Feature):
    """Asks everybody to accept the terms, by a request without a form."""

    name = "terms"

    def add_pages(self, blueprint: Blueprint) -> None:
        blueprint.add_url_rule("/login/terms", view_func=accept_terms, methods=["POST"])

    async def before_sign_in(self, _: SignIn) -> Step:
        return Step("accept_terms")


async def accept_terms() -> ResponseReturnValue:
    async def agree(_: SignIn) -> bool:
        return request.args.get("answer") == "yes"

    signed_in = await current_accounts().sign_ins.complete("terms", agree)
    return redirect("/account") if signed_in else ("no", 400)


def make_app(database: str, *features: Feature, **options: Any) -> Quart:
    app = Quart("shop", root_path=str(FOLDER))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=database, features=[Passwords(), Logins(), *features], **options)
    use_cheap_hashes(app)

    @app.before_serving
    async def create_table() -> None:
        await get_accounts(app).store.database.write(SCHEMA)

    return app


@pytest.fixture
def feature() -> CodeWords:
    return CodeWords()


@pytest.fixture
async def app(database: str, feature: CodeWords) -> AsyncIterator[Quart]:
    """An app in which Ada has a code word."""
    app = make_app(database, feature)
    async with app.test_app():
        await give_word(app, await create_user(app, "Ada", password=PASSWORD))
        yield app


async def give_word(app: Quart, user: Any, word: str = WORD) -> None:
    await set_word(get_accounts(app).store.database, user.id, word, 2**40)


async def enter(visitor: Visitor, word: str = WORD, path: str = STEP) -> Page:
    return await visitor.fill_in(path, word=word)


async def started(app: Quart, **fields: str) -> Visitor:
    """A browser with the right password, which is asked for the code word."""
    visitor = Visitor(app.test_client())
    page = await visitor.fill_in("/login", username="ada", password=PASSWORD, **fields)
    assert (page.status, page.location) == (302, STEP)
    return visitor


def rows(database: str, what: str = "*", table: str = "quartlogin_pending_sign_ins") -> list[Any]:
    return run_sql(database, f"SELECT {what} FROM {table}")


# --- the way


@pytest.fixture
def site(app: Quart) -> Iterator[Recorded]:
    """The app, whose requests are recorded."""
    site = Recorded(app)
    with tracing.listening(site.recorder):
        yield site


@makes(login_rules.SIGN_IN_WAITS, "sign_in")
async def test_a_sign_in_that_waits_for_a_step_explains_itself(site: Recorded) -> None:
    await started(site.app)


@both_databases
async def test_a_step_comes_between_password_and_login(app: Quart, feature: CodeWords, database: str) -> None:
    visitor = await started(app)
    assert not await visitor.is_signed_in()
    assert rows(database, "count(*)", "quartlogin_logins") == [(0,)]

    done = await enter(visitor)

    assert done.location == "/account"
    assert await visitor.is_signed_in()
    assert [told.user.username for told in feature.told] == ["Ada"]
    assert rows(database) == []
    [(proofs,)] = rows(database, "proofs", "quartlogin_logins")
    assert re.fullmatch(r"password:\d+ code_word:\d+", proofs)


async def test_a_user_of_whom_no_feature_asks_more_signs_in_at_once(app: Quart, feature: CodeWords) -> None:
    await create_user(app, "Bob", password=PASSWORD)
    visitor = Visitor(app.test_client())

    assert (await visitor.sign_in("bob")).location == "/account"
    assert [told.user.username for told in feature.told] == ["Bob"]


async def test_the_requested_page_and_remember_me_outlast_the_step(app: Quart) -> None:
    visitor = Visitor(app.test_client())
    page = await visitor.fill_in(
        "/login?next=/account/password", username="ada", password=PASSWORD, remember="y", next="/account/password"
    )
    assert page.location == f"{STEP}?next=/account/password"

    form = await visitor.get(page.location)
    done = await visitor.post(page.location, {"csrf_token": form.token, "word": WORD})

    assert done.location == "/account/password"
    assert "remember_token" in visitor.cookies


async def test_an_open_redirect_does_not_survive_the_step(app: Quart) -> None:
    visitor = Visitor(app.test_client())
    page = await visitor.fill_in("/login", username="ada", password=PASSWORD, next="https://evil.example/")

    assert page.location == STEP
    form = await visitor.get(STEP)
    done = await visitor.post(f"{STEP}?next=//evil.example/", {"csrf_token": form.token, "word": WORD})
    assert done.location == "/account"


async def test_a_refusal_is_answered_and_counted_as_a_wrong_password(
    app: Quart, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    await give_word(app, await create_user(app, "Bob", password=PASSWORD), REFUSED)

    refused = await Visitor(app.test_client()).sign_in("bob")
    wrong = await Visitor(app.test_client()).sign_in("bob", WRONG)

    assert (refused.status, wrong.status) == (400, 400)
    assert refused.errors_beside("password") == wrong.errors_beside("password") != ""
    assert [event["reason"] for event in logged() if event["event"] == "sign_in_failed"] == [
        "the code word",
        "wrong password",
    ]


async def test_two_features_ask_one_after_the_other(database: str) -> None:
    app = make_app(database, CodeWords(), Terms())
    async with app.test_app():
        await give_word(app, await create_user(app, "Ada", password=PASSWORD))
        visitor = await started(app)
        cookie = visitor.cookies["session"]
        assert (await visitor.post("/login/terms?answer=yes", {})).location.startswith("/login")  # not its turn
        assert (await enter(visitor)).location == "/login/terms"
        assert not await visitor.is_signed_in()

        replaying = Visitor(app.test_client())
        replaying.client.set_cookie("localhost", "session", cookie)
        assert (await replaying.get(STEP)).status == 302  # used
        assert (await visitor.post("/login/terms?answer=no", {})).status == 400
        assert (await visitor.post("/login/terms?answer=yes", {})).location == "/account"
        assert await visitor.is_signed_in()
        assert rows(database) == []
        [(proofs,)] = rows(database, "proofs", "quartlogin_logins")
        assert re.findall(r"[a-z_]+", proofs) == ["password", "code_word"]  # accepting terms proves nothing


async def test_a_view_of_the_app_is_told_which_page_asks_for_the_step(app: Quart) -> None:
    async with app.test_request_context("/", method="POST"):
        with pytest.raises(StepRequired) as required:
            await get_accounts(app).sign_in("ada", PASSWORD)
        with pytest.raises(WrongCredentials):
            await get_accounts(app).sign_in("ada", WRONG)

    assert required.value.endpoint == "accounts.enter_code_word"


async def test_a_view_of_the_app_that_does_not_handle_a_step_leads_to_its_page(app: Quart) -> None:
    @app.post("/app-login")
    async def app_login() -> str:
        await get_accounts(app).sign_in("ada", PASSWORD)
        return "signed in"

    visitor = Visitor(app.test_client())

    assert (await visitor.post("/app-login?next=/account/password", {})).location == f"{STEP}?next=/account/password"
    assert (await enter(visitor)).location == "/account"


async def test_a_feature_that_fails_lets_nobody_in_and_counts_nothing(
    app: Quart, feature: CodeWords, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise KeyError("a bug")

    app.testing, app.config["PROPAGATE_EXCEPTIONS"] = False, False
    visitor = Visitor(app.test_client())
    with monkeypatch.context() as patch:
        patch.setattr(feature, "before_sign_in", fail)
        assert (await visitor.sign_in("ada")).status == 500
    assert rows(database, "*", "quartlogin_attempt_counters") == []

    monkeypatch.setattr(feature, "after_sign_in", fail)
    assert (await enter(await started(app))).location == "/account"  # what has happened stays


# --- attacks


@both_databases
async def test_replay_of_a_session_cookie_from_before_the_step_gains_nothing(app: Quart, database: str) -> None:
    visitor = await started(app)
    stolen = visitor.cookies["session"]
    await enter(visitor)
    await visitor.sign_out()

    thief = Visitor(app.test_client())
    thief.client.set_cookie("localhost", "session", stolen)
    page = await thief.get(STEP)

    assert (page.status, page.location) == (302, "/login")
    assert rows(database, "count(*)", "quartlogin_logins") == [(0,)]


async def test_a_step_cannot_be_completed_in_another_session(app: Quart) -> None:
    await started(app)

    stranger = Visitor(app.test_client())

    assert (await stranger.get(STEP)).location == "/login"


async def test_a_step_cannot_be_completed_in_an_app_with_another_audience(app: Quart, database: str) -> None:
    """The apps share accounts, key and cookie, but not their sign-ins."""
    visitor = await started(app)
    other = make_app(database, CodeWords(), audience="another shop")
    other.before_serving_funcs = [each for each in other.before_serving_funcs if each.__name__ != "create_table"]
    async with other.test_app():
        there = Visitor(other.test_client())
        there.client.set_cookie("localhost", "session", visitor.cookies["session"])

        assert (await there.get(STEP)).location == "/login"


async def test_a_pending_sign_in_ends_after_ten_minutes(app: Quart, now: list[float], database: str) -> None:
    visitor = await started(app)
    form = await visitor.get(STEP)
    now[0] += 600
    assert (await visitor.get(STEP)).location == "/login"

    late = await visitor.post(STEP, {"csrf_token": form.token, "word": WORD})

    assert late.location == "/login"
    assert not await visitor.is_signed_in()
    assert await get_accounts(app).cleanup.clean() == 1
    assert rows(database) == []


@pytest.mark.parametrize("attempt", [PASSWORD, WRONG])
async def test_a_new_sign_in_attempt_ends_the_pending_one(app: Quart, database: str, attempt: str) -> None:
    """In a second tab, or with the cookie of the first."""
    visitor = await started(app)
    first = visitor.cookies["session"]

    await visitor.sign_in("ada", attempt)

    assert len(rows(database)) == (1 if attempt == PASSWORD else 0)
    assert (await visitor.get(STEP)).status == (200 if attempt == PASSWORD else 302)
    visitor.client.set_cookie("localhost", "session", first)
    assert (await visitor.get(STEP)).location == "/login"


async def test_two_tabs_that_complete_the_same_step_begin_one_login(
    app: Quart, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second tab is past the check when the first one signs in."""
    visitor = await started(app)
    form, sign_ins = await visitor.get(STEP), get_accounts(app).sign_ins
    answers: list[Page] = []
    begin = type(sign_ins).begin

    async def begin_late(*arguments: Any) -> Any:
        monkeypatch.setattr(type(sign_ins), "begin", begin)
        other = Visitor(app.test_client())
        other.client.set_cookie("localhost", "session", visitor.cookies["session"])
        answers.append(await other.post(STEP, {"csrf_token": form.token, "word": WORD}))
        return await begin(*arguments)

    monkeypatch.setattr(type(sign_ins), "begin", begin_late)
    answers.append(await visitor.post(STEP, {"csrf_token": form.token, "word": WORD}))

    assert [page.location for page in answers] == ["/account", "/login"]
    assert rows(database, "count(*)", "quartlogin_logins") == [(1,)]


@both_databases
@pytest.mark.parametrize("change", ["disabled", "disabled and enabled", "password", "ended", "deleted"])
async def test_an_account_that_is_changed_meanwhile_ends_the_pending_sign_in(
    app: Quart, database: str, change: str
) -> None:
    visitor = await started(app)
    form = await visitor.get(STEP)
    accounts = get_accounts(app)
    [(user_id,)] = rows(database, "user_id")
    if change == "password":
        owner = await started(app)
        await enter(owner)
        await owner.fill_in("/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)
    elif change == "ended":
        await accounts.end_logins(user_id)
    elif change == "deleted":
        await accounts.forget(user_id)
    else:
        await set_active(app, "Ada", active=False)
        if "enabled" in change:
            await set_active(app, "Ada", active=True)

    late = await visitor.post(STEP, {"csrf_token": form.token, "word": WORD})

    assert late.location == "/login"
    assert not await visitor.is_signed_in()


@pytest.mark.parametrize("states", [[False], [False, True]], ids=["disabled", "disabled and enabled"])
async def test_an_account_that_is_disabled_between_check_and_login_is_not_signed_in(
    app: Quart, database: str, monkeypatch: pytest.MonkeyPatch, states: list[bool]
) -> None:
    """A race: the transaction that begins the login compares the security stamp once more."""
    visitor = await started(app)
    begin = type(get_accounts(app).sign_ins).begin

    async def begin_late(*arguments: Any) -> Any:
        for active in states:
            await set_active(app, "Ada", active=active)
        return await begin(*arguments)

    monkeypatch.setattr(type(get_accounts(app).sign_ins), "begin", begin_late)

    assert (await enter(visitor)).location == "/login"
    assert rows(database, "count(*)", "quartlogin_logins") == [(0,)]
    assert rows(database, "number", "quartlogin_attempt_counters WHERE name LIKE 'user:%'") == [(1,)]  # the password


async def test_brute_force_of_a_step_runs_into_the_rate_limit_of_the_account(app: Quart, database: str) -> None:
    """Also if each guess begins with the right password, and of any number of sessions."""
    statuses = []
    for number in range(12):
        visitor = Visitor(app.test_client())
        page = await visitor.sign_in("ada")
        if page.status == 302:
            page = await enter(visitor, f"guess {number}")
        statuses.append(page.status)

    assert statuses.count(400) <= 3
    assert statuses[-1] == 429
    assert len(rows(database)) <= 5


async def test_a_completed_step_resets_the_failures_in_a_row_and_leaves_none_at_the_address(
    app: Quart, database: str
) -> None:
    visitor = await started(app)
    assert (await enter(visitor, "wrong")).status == 400
    assert (await enter(visitor)).location == "/account"

    counters = rows(database, "name, times", "quartlogin_attempt_counters")

    assert [name.split(":")[0] for name, _ in counters] == ["address"]
    assert len(counters[0][1].split()) == 1  # the wrong word


async def test_the_device_cookie_is_set_only_after_the_step(app: Quart) -> None:
    visitor = await started(app)
    assert "quartlogin_browser" not in visitor.cookies

    await enter(visitor)

    assert "quartlogin_browser" in visitor.cookies


async def test_a_step_without_its_csrf_token_is_refused(app: Quart) -> None:
    visitor = await started(app)
    await visitor.get(STEP)

    assert (await visitor.post(STEP, {"word": WORD})).status == 400
    assert not await visitor.is_signed_in()


class Person(UserMixin):
    def __init__(self, name: str) -> None:
        self.id, self.name = "5", name


async def test_a_pending_sign_in_is_not_that_of_a_later_user_with_the_same_id(database: str) -> None:
    """The app has deleted its user 5, without a word to the accounts, and its database gave the id to another one."""
    people: list[Person] = []

    class People:
        async def by_id(self, user_id: str) -> Person | None:
            return people[0]

        async def by_name(self, name: str) -> Person | None:
            return next((person for person in people if person.name == name), None)

        async def create(self, name: str, _: Any) -> Person:
            people[:] = [Person(name)]
            return people[0]

        def name_of(self, user: Person) -> str:
            return user.name

        def stamp(self, user: Person) -> str:
            return user.name

    app = make_app(database, CodeWords())
    get_accounts(app).users(People)
    use_cheap_hashes(app)
    async with app.test_app():
        await give_word(app, await create_user(app, "Ada", password=PASSWORD))
        visitor = await started(app)
        form = await visitor.get(STEP)
        people[:] = [Person("bob")]

        late = await visitor.post(STEP, {"csrf_token": form.token, "word": WORD})

        assert late.location == "/login"
        assert rows(database, "count(*)", "quartlogin_logins") == [(0,)]
