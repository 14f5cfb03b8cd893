"""Temporary passwords: valid for one sign-in within a day, and a change is required first."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from quart import Quart

from client import NEW_PASSWORD, PASSWORD, Page, Visitor, add_user
from commands import error_of
from databases import both_databases, run_sql
from event_kinds import KINDS
from quartlogin.accounts import get_accounts
from quartlogin.accounts.audit.log import Events
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.features.passwords.pages import FAILED
from quartlogin.accounts.features.passwords.temporary import LIFETIME, temporary_password
from quartlogin.webapp.cli import main
from sockets import open_socket

CHANGE = "/account/password"

#: What whoever has to change the password may open all the same.
OPEN = {
    CHANGE,
    "/reauthenticate",
    "/logout",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/static/accounts/<path:filename>",
}


async def command(database: str, *arguments: str) -> Result:
    """Run a command beside the service: it has an event loop of its own, so it runs in a thread."""
    return await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--database", database])


@pytest.fixture
async def handed_out(app: Quart, database: str) -> str:
    """Alice's account, made by the operator; its password."""
    done = await command(database, "user", "create", "Alice", "--temporary")
    return done.stdout.removesuffix("\n")


@pytest.fixture
async def alice(visitor: Visitor, handed_out: str) -> Visitor:
    """Alice's browser, signed in with the password that she was handed out."""
    await visitor.sign_in("Alice", handed_out)
    return visitor


async def change(visitor: Visitor, current: str, new: str = NEW_PASSWORD) -> Page:
    return await visitor.fill_in(CHANGE, current_password=current, new_password=new)


# --- on the command line


@pytest.mark.requirement("6.4.1")
async def test_a_temporary_password_is_printed_alone_and_its_end_beside_it(app: Quart, database: str) -> None:
    made = await command(database, "user", "create", "Alice", "--temporary")
    another = await command(database, "user", "set-password", "Alice", "--temporary")

    for done in (made, another):
        assert re.fullmatch(r"(?:[a-hj-km-np-z2-9]{5}-){3}[a-hj-km-np-z2-9]{5}\n", done.stdout)
        assert re.search(r"\b20\d\d-\d\d-\d\d \d\d:\d\d UTC\b", done.stderr)
    assert made.stdout != another.stdout


@pytest.mark.requirement("6.4.1")
@pytest.mark.parametrize("min_length", [8, 15, 23, 24, 64, 1024])
def test_a_temporary_password_is_as_long_as_every_other_and_never_made_twice(min_length: int) -> None:
    made = {temporary_password(min_length) for _ in range(100)}

    assert len(made) == 100
    assert {len(password) >= max(min_length, 23) for password in made} == {True}
    assert max(len(password) for password in made) <= 1024


@pytest.mark.requirement("6.4.1")
def test_the_docs_say_for_how_long_it_is_good() -> None:
    page = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")
    hours = re.search(r"within (\d+) hours", page)

    assert hours is not None
    assert int(hours[1]) * 3600 == LIFETIME


def test_a_password_is_either_made_or_given(database: str) -> None:
    done = CliRunner().invoke(
        main, ["user", "create", "Alice", "--temporary", "--password-stdin", "--database", database], input=PASSWORD
    )

    assert done.exit_code == 2
    assert "not both" in done.stderr


# --- signing in with it


@pytest.mark.requirement("6.4.1", "N10")
@both_databases
async def test_it_signs_in_and_the_first_thing_is_to_change_it(visitor: Visitor, handed_out: str) -> None:
    page = await visitor.sign_in("Alice", handed_out)
    home = await visitor.get(str(page.location))
    form = await visitor.get(CHANGE)
    changed = await change(visitor, handed_out)

    assert (page.status, home.status, home.location) == (302, 302, CHANGE)
    assert form.status == 200
    assert (changed.status, changed.location) == (302, "/account")
    assert await visitor.is_signed_in()
    await visitor.sign_out()
    assert (await visitor.sign_in("Alice", handed_out)).status == 400
    assert (await visitor.sign_in("Alice", NEW_PASSWORD)).status == 302
    assert await visitor.is_signed_in()


@pytest.mark.requirement("6.4.1")
@both_databases
async def test_replay_of_a_temporary_password_fails(
    alice: Visitor, new_visitor: Callable[[], Visitor], handed_out: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin.audit")

    page = await new_visitor().sign_in("Alice", handed_out)

    assert (page.status, page.errors_beside("password")) == (400, FAILED.format("username"))
    assert re.search(r'"reason": "temporary password\b', caplog.text)
    assert (await change(alice, handed_out)).status == 302  # where it was used, it can still be changed


@pytest.mark.slow
@pytest.mark.requirement("6.4.1")
@both_databases
async def test_race_of_many_uses_of_a_temporary_password_one_succeeds(
    app: Quart, new_visitor: Callable[[], Visitor], handed_out: str
) -> None:
    pages = await asyncio.gather(*(new_visitor().sign_in("Alice", handed_out) for _ in range(4)))

    assert sorted(page.status for page in pages) == [302, 400, 400, 400]


@pytest.mark.requirement("6.4.1")
@pytest.mark.parametrize(("seconds", "status"), [(LIFETIME - 1, 302), (LIFETIME, 400)])
async def test_it_signs_in_for_a_day(
    now: list[float], visitor: Visitor, handed_out: str, seconds: int, status: int
) -> None:
    now[0] += seconds

    assert (await visitor.sign_in("Alice", handed_out)).status == status


async def test_a_sign_in_that_fails_on_the_way_does_not_use_it_up(
    app: Quart, visitor: Visitor, handed_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Events, "insert", staticmethod(fail))
        failed = await visitor.sign_in("Alice", handed_out)

    assert failed.status == 503
    assert (await visitor.sign_in("Alice", handed_out)).status == 302


# --- what has to be changed first


@pytest.mark.requirement("6.4.1", "N10")
async def test_every_page_but_a_few_leads_to_the_one_that_changes_the_password(app: Quart, alice: Visitor) -> None:
    closed = sorted(
        (re.sub(r"<\w+>", "word", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule not in OPEN and not rule.websocket
        for method in rule.methods - {"OPTIONS", "HEAD"}
    )
    token = (await alice.get(CHANGE)).token

    answers = {}
    for path, method in closed:
        options = {"form": {"csrf_token": token}} if method == "POST" else {}
        page = await alice.request(method, path, **options)
        answers[path, method] = (page.status, page.location)

    assert ("/", "GET") in answers
    assert ("/account/tokens", "POST") in answers
    assert answers == dict.fromkeys(closed, (302, CHANGE))


async def test_what_has_to_stay_open_does(alice: Visitor) -> None:
    statuses = {path: (await alice.get(path)).status for path in sorted(OPEN - {"/static/accounts/<path:filename>"})}

    assert statuses == dict.fromkeys(OPEN - {"/static/accounts/<path:filename>"}, 200)
    assert (await alice.get("/static/accounts/style.css")).status == 200
    assert (await alice.get("/nothing")).status == 404
    assert (await alice.sign_out()).status == 302
    assert not await alice.is_signed_in()


@pytest.mark.requirement("N10")
@both_databases
async def test_api_clients_get_a_problem_document_while_a_change_is_required(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await visitor.register("Alice")
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    token = re.search(r"<code>([\w.-]{40,})</code>", made.text)[1]  # type: ignore[index]
    await command(database, "user", "require-change", "alice")

    by_session = await visitor.get("/api/me", headers={"Accept": "application/json"})
    bearer = {"Authorization": f"Bearer {token}"}
    by_token = await app.test_client(use_cookies=False).get("/api/me", headers=bearer)

    for status, headers, text in (
        (by_session.status, by_session.headers, by_session.text),
        (by_token.status_code, by_token.headers, await by_token.get_data(as_text=True)),
    ):
        assert (status, headers["Content-Type"]) == (403, "application/problem+json")
        assert "password" in json.loads(text)["detail"]
    await change(visitor, PASSWORD)
    assert (await app.test_client(use_cookies=False).get("/api/me", headers=bearer)).status_code == 200


async def test_a_websocket_is_refused(app: Quart, alice: Visitor) -> None:
    cookie = f"quartlogin={alice.cookies['quartlogin']}"

    async with open_socket(app, "/account/live", Cookie=cookie) as socket:
        assert await socket.status() == 403


@pytest.mark.parametrize("spelling", ["Zo\u00eb likes umlauts!", "Zoe\u0308 likes umlauts!"])
async def test_it_has_to_become_another_one(visitor: Visitor, database: str, spelling: str) -> None:
    await visitor.register("Alice", "Zo\u00eb likes umlauts!")
    await command(database, "user", "require-change", "alice")

    page = await change(visitor, "Zo\u00eb likes umlauts!", spelling)

    assert page.status == 400
    assert "current password" in page.errors_beside("new_password")
    assert (await visitor.get("/account")).location == CHANGE


@pytest.mark.requirement("N10")
@both_databases
async def test_the_operator_can_require_a_change_of_a_signed_in_user(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], database: str
) -> None:
    phone = new_visitor()
    await visitor.register("Alice")
    await phone.sign_in("Alice")

    done = await command(database, "user", "require-change", "ALICE")

    assert done.exit_code == 0
    assert "'ALICE'" in done.stdout
    for browser in (visitor, phone):
        assert (await browser.get("/account")).location == CHANGE
    await phone.sign_out()
    await phone.sign_in("Alice")  # the password is not a temporary one: it signs in as often as need be
    await phone.sign_out()
    assert (await phone.sign_in("Alice")).status == 302
    assert (await change(visitor, PASSWORD)).status == 302
    assert await visitor.is_signed_in()
    assert KINDS["password_change_required"] in (await visitor.get("/account")).text


async def test_a_change_that_is_required_long_after_the_sign_in_asks_for_the_password_first(
    now: list[float], visitor: Visitor, database: str
) -> None:
    await visitor.register("Alice")
    await command(database, "user", "require-change", "alice")
    now[0] += 3600

    asked = await visitor.get(CHANGE)
    confirmed = await visitor.fill_in(str(asked.location), password=PASSWORD, next=CHANGE)

    assert str(asked.location).startswith("/reauthenticate?next=")
    assert confirmed.location == CHANGE
    assert (await change(visitor, PASSWORD)).status == 302


@pytest.mark.slow
@pytest.mark.requirement("6.4.6")
async def test_a_password_handed_out_ends_every_sign_in_and_the_old_password(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], database: str
) -> None:
    await visitor.register("Alice")

    done = await command(database, "user", "set-password", "alice", "--temporary")

    assert not await visitor.is_signed_in()
    assert (await new_visitor().sign_in("Alice", PASSWORD)).status == 400
    assert (await visitor.sign_in("Alice", done.stdout.removesuffix("\n"))).status == 302
    assert (await visitor.get("/account")).location == CHANGE


@pytest.mark.slow
async def test_a_password_that_the_operator_sets_for_good_needs_no_change(
    visitor: Visitor, handed_out: str, database: str
) -> None:
    done = await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["user", "set-password", "alice", "--password-stdin", "--database", database],
        input=NEW_PASSWORD,
    )

    assert done.exit_code == 0
    assert (await visitor.sign_in("Alice", NEW_PASSWORD)).status == 302
    assert await visitor.is_signed_in()


@pytest.mark.requirement("6.2.10", "N9")
@both_databases
async def test_no_password_is_ever_too_old(app: Quart, visitor: Visitor, database: str) -> None:
    await add_user(app, "Alice")
    run_sql(database, "UPDATE quartlogin_passwords SET changed_at = changed_at - 315360000")

    page = await visitor.sign_in("Alice")

    assert (page.status, page.location) == (302, "/")
    assert await visitor.is_signed_in()


async def test_an_unknown_user_cannot_be_required_to_change_the_password(app: Quart, database: str) -> None:
    done = await command(database, "user", "require-change", "bob")

    assert "'bob'" in error_of(done)


async def test_an_open_page_receives_nothing_once_a_change_is_required(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await visitor.register("Alice")
    parts = get_accounts(app)
    cookie = f"quartlogin={visitor.cookies['quartlogin']}"
    [(user_id,)] = run_sql(database, "SELECT id FROM quartlogin_users")

    async with open_socket(app, "/account/live", Cookie=cookie) as socket:
        await socket.accepted()
        await command(database, "user", "require-change", "alice")
        parts.audit_log.emit(parts.audit_log.event("token_created", user_id))
        closed = await socket.code()

    assert closed == 1008
