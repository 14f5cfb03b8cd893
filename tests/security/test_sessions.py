"""Session management (ASVS V7): session fixation, session hijacking, timeouts, revocation."""

import json
import logging
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from quart import Quart

import quartlogin
from client import PASSWORD, SecureVisitor, Visitor, add_user, header_of, live_a_whole_life, make_token, who_is
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.logins.service import MAX_TOKENS
from quartlogin.sessions.login_session import new_id
from quartlogin.webapp.cli import main
from quartlogin.webapp.settings import Settings
from servers import SCRIPTS, free_port, running
from sockets import open_socket

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "application.md").read_text(encoding="utf-8")
SOURCES = sorted(path for path in Path(quartlogin.__file__).parent.rglob("*.py") if "new_project" not in path.parts)
MINUTES_OF_A_DAY = 24 * 60

NewVisitor = Callable[[], Visitor]


def session_in(app: Quart, visitor: Visitor) -> dict[str, Any]:
    contents: dict[str, Any] = app.session_interface.get_signing_serializer(app).loads(visitor.cookies["quartlogin"])
    return contents


# --- what the documentation says


@pytest.mark.requirement("7.1.1")
def test_session_timeouts_in_the_docs_match_the_defaults() -> None:
    defaults = Settings()

    idle = re.search(r"`LOGIN_IDLE_TIMEOUT` \((\d+) days\)", PAGE)
    absolute = re.search(r"`LOGIN_LIFETIME` \((\d+) days\)", PAGE)

    assert idle is not None
    assert absolute is not None
    assert int(idle[1]) * MINUTES_OF_A_DAY == defaults.login_idle_timeout
    assert int(absolute[1]) * MINUTES_OF_A_DAY == defaults.login_lifetime <= 30 * MINUTES_OF_A_DAY


@pytest.mark.requirement("7.1.1")
def test_session_timeouts_that_differ_from_asvs_are_documented() -> None:
    section = PAGE.partition("### Departures from NIST SP 800-63B-4")[2].partition("\n## ")[0]

    assert re.search(r"\bidle timeout\b.*\b14 days\b", section)
    assert "remember cookie" in section
    for idle, lifetime in ("60", "1440"), ("15", "720"):  # an hour and a day; 15 minutes and 12 hours
        assert re.search(rf"(to |s, ){idle} and (`LOGIN_LIFETIME` to )?{lifetime}[;.]", section)
        assert Settings(login_idle_timeout=int(idle), login_lifetime=int(lifetime))


@pytest.mark.requirement("7.1.2")
def test_concurrent_login_limit_is_documented() -> None:
    section = PAGE.partition("### Concurrent logins")[2].partition("\n##")[0]

    assert re.findall(r"`MAX_LOGINS_PER_USER`[^.()]*\((\d+)\)", section) == [str(Settings().max_logins_per_user)]
    assert "API tokens" in section
    assert Settings().max_logins_per_user == MAX_TOKENS
    assert re.search(r"\bleast\s+recently\s+used\b", section)


# --- how a session begins


@pytest.mark.requirement("7.2.2")
async def test_login_ids_and_tokens_are_unique(app: Quart, new_visitor: NewVisitor) -> None:
    await add_user(app, "Alice")
    first, second = new_visitor(), new_visitor()
    await first.sign_in()
    await second.sign_in()
    tokens = [await make_token(first), await make_token(first)]

    page = await first.get("/account")
    await first.post(
        re.search(r"/account/tokens/\w+/revoke", page.text)[0],  # type: ignore[index]
        {"csrf_token": page.token},
    )

    assert session_in(app, first)["_login_id"] != session_in(app, second)["_login_id"]
    assert first.cookies["quartlogin"] != second.cookies["quartlogin"]
    answers = [await who_is(app, Authorization=f"Bearer {token}") for token in tokens]
    assert sorted(answers) == ["Alice", "nobody"]


@pytest.mark.requirement("7.2.3")
def test_login_ids_are_long_and_ten_thousand_of_them_differ() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert len(set(ids)) == 10_000
    assert min(len(urlsafe_b64decode(one)) for one in ids) >= 16


@pytest.mark.requirement("7.2.3")
def test_login_ids_do_not_come_from_a_predictable_generator() -> None:
    predictable = re.compile(r"\b(import random|from random|uuid|getrandbits|mt19937)\b")

    assert [source.name for source in SOURCES if predictable.search(source.read_text("utf-8"))] == []


@pytest.mark.requirement("7.2.4", "C6", "V29")
async def test_session_fixation_a_planted_session_is_replaced_at_sign_in(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await add_user(app, "Alice")
    attacker = new_visitor()
    token = (await attacker.get("/login")).token
    planted = attacker.cookies["quartlogin"]
    visitor.client.set_cookie("localhost", "quartlogin", planted)

    await visitor.post("/login", {"csrf_token": token, "username": "Alice", "password": PASSWORD})

    assert await visitor.is_signed_in()
    assert visitor.cookies["quartlogin"] != planted
    assert await who_is(app, **header_of({"quartlogin": planted})) == "nobody"
    assert (await attacker.post("/logout", {"csrf_token": token})).location == "/"
    assert await visitor.is_signed_in()


@pytest.mark.requirement("7.2.4", "V29")
async def test_session_fixation_a_planted_login_ends_when_the_victim_signs_in(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await add_user(app, "Alice")
    mallory = new_visitor()
    await mallory.register("Mallory")
    planted = mallory.cookies["quartlogin"]
    visitor.client.set_cookie("localhost", "quartlogin", planted)
    token = (await visitor.get("/")).token

    await visitor.post("/login", {"csrf_token": token, "username": "Alice", "password": PASSWORD})

    assert await who_is(app, **header_of(visitor.cookies)) == "Alice"
    assert await who_is(app, **header_of({"quartlogin": planted})) == "nobody"


@pytest.mark.requirement("7.2.4", "C6")
async def test_session_fixation_sign_in_reauthentication_and_password_change_renew_the_login_id(
    app: Quart, visitor: Visitor
) -> None:
    await visitor.register("Alice")
    jars = [visitor.cookies]
    await visitor.post(
        "/login", {"csrf_token": (await visitor.get("/")).token, "username": "Alice", "password": PASSWORD}
    )
    jars.append(visitor.cookies)
    await visitor.fill_in("/reauthenticate", password=PASSWORD)
    jars.append(visitor.cookies)
    await visitor.fill_in("/account/password", current_password=PASSWORD, new_password=PASSWORD[::-1])
    jars.append(visitor.cookies)

    found = [await who_is(app, **header_of(jar)) for jar in jars]

    assert found == ["nobody", "nobody", "nobody", "Alice"]
    assert (
        len({app.session_interface.get_signing_serializer(app).loads(jar["quartlogin"])["_login_id"] for jar in jars})
        == 4
    )


@pytest.mark.requirement("C5")
async def test_session_ids_in_a_url_or_a_body_are_ignored(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")
    genuine = visitor.cookies["quartlogin"]
    client = app.test_client(use_cookies=False)

    in_query = await client.get("/account", query_string={"quartlogin": genuine, "session": genuine})
    in_form = await client.post("/account/tokens", form={"quartlogin": genuine, "session": genuine})
    in_header = await client.get("/account", headers={"X-Session": genuine, "Session": genuine})

    assert [answer.status_code for answer in (in_query, in_form, in_header)] == [302, 302, 302]
    assert [answer.headers["Location"].startswith("/login") for answer in (in_query, in_form, in_header)] == [True] * 3


@pytest.mark.requirement("C4", "C5")
async def test_cookies_contain_only_random_ids_and_times(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")
    await visitor.get("/")

    contents = session_in(app, visitor)

    assert "session" not in visitor.cookies
    assert contents.keys() == {"_user_id", "_login_id", "_fresh", "_fresh_at", "_id"}
    assert re.fullmatch(r"[\w-]{22}", contents["_user_id"])
    assert re.fullmatch(r"[\w-]{32}", contents["_login_id"])
    assert re.fullmatch(r"[0-9a-f]{64,128}", contents["_id"])
    assert re.findall(r"/account/\w+/(\w+)/revoke", (await visitor.get("/account")).text)[0].isalnum()


# --- what ends a session


@pytest.mark.slow
@pytest.mark.requirement("7.4.1")
def test_logout_in_one_process_is_effective_in_all(tmp_path: Path) -> None:
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--workers", "2", "--port", str(port)]

    with running(command, port, tmp_path), httpx.Client(base_url=f"http://localhost:{port}", timeout=60) as client:
        token = re.search(r'name="csrf_token" value="(\w+)"', client.get("/register").text)[1]  # type: ignore[index]
        page = client.post(
            "/register",
            data={"csrf_token": token, "username": "Alice", "password": PASSWORD},
            follow_redirects=True,
        )
        copies = dict(client.cookies)
        before = [
            httpx.get(f"http://localhost:{port}/account", cookies=copies, timeout=60).status_code for _ in range(10)
        ]
        token = re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]  # type: ignore[index]
        client.post("/logout", data={"csrf_token": token})
        after = [
            httpx.get(f"http://localhost:{port}/account", cookies=copies, timeout=60).status_code for _ in range(20)
        ]

    assert before == [200] * 10
    assert after == [302] * 20


@pytest.mark.requirement("7.4.2")
@both_databases
async def test_a_new_user_with_a_reused_id_inherits_no_login(app: Quart, visitor: Visitor, database: str) -> None:
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    bearer = await make_token(visitor)
    jar = visitor.cookies
    await visitor.fill_in("/account/delete", password=PASSWORD)
    carol = await add_user(app, "Carol")
    reused = session_user_id(app, jar)

    run_sql(database, "DELETE FROM quartlogin_events")
    run_sql(database, f"UPDATE quartlogin_users SET id = '{reused}' WHERE id = '{carol.id}'")

    assert run_sql(database, "SELECT id, username FROM quartlogin_users") == [(reused, "Carol")]
    jars = [jar, *({name: value} for name, value in jar.items())]
    assert {await who_is(app, **header_of(one)) for one in jars} == {"nobody"}
    assert await who_is(app, Authorization=f"Bearer {bearer}") == "nobody"


def session_user_id(app: Quart, jar: dict[str, str]) -> str:
    return str(app.session_interface.get_signing_serializer(app).loads(jar["quartlogin"])["_user_id"])


@pytest.mark.requirement("7.4.1", "7.4.2", "V11")
@both_databases
async def test_disabling_a_user_revokes_sessions_remember_cookies_tokens_and_websockets(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor, database: str
) -> None:
    get_accounts(app).login_manager.websocket_recheck = timedelta(seconds=0.05)
    await visitor.register("Alice")
    other = new_visitor()
    await other.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    bearer = await make_token(visitor)
    async with open_socket(app, "/account/live", **header_of(other.cookies)) as socket:
        await socket.accepted()

        run_command(database, "user", "disable", "alice")

        remembered = {"quartlogin_remember": other.cookies["quartlogin_remember"]}
        jars = [visitor.cookies, other.cookies, remembered]
        assert {await who_is(app, **header_of(jar)) for jar in jars} == {"nobody"}
        assert await who_is(app, Authorization=f"Bearer {bearer}") == "nobody"
        assert await socket.code() == 1008


def run_command(database: str, *arguments: str) -> None:
    """Run a command line on the same database, as a process of its own would."""
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(CliRunner().invoke, main, [*arguments, "--database", database]).result()
    assert done.exit_code == 0, done.output


@pytest.mark.requirement("7.4.5")
@both_databases
@pytest.mark.parametrize("choice", [["--user", "alice"], ["--everyone", "--yes"]], ids=lambda choice: choice[0])
async def test_the_operator_revokes_the_logins_of_one_user_or_all_with_their_websockets(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor, database: str, choice: list[str]
) -> None:
    get_accounts(app).login_manager.websocket_recheck = timedelta(seconds=0.05)
    other, bob = new_visitor(), new_visitor()
    await visitor.register("Alice")
    await bob.register("Bob")
    await other.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    async with open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket:
        await socket.accepted()

        run_command(database, "logins", "revoke", *choice)

        assert [await one.is_signed_in() for one in (visitor, other)] == [False, False]
        assert await bob.is_signed_in() is (choice[0] == "--user")
        assert await socket.code() == 1008


@pytest.mark.requirement("7.4.5")
async def test_revoking_all_logins_revokes_tokens_and_is_logged(app: Quart, visitor: Visitor, database: str) -> None:
    await visitor.register("Alice")
    bearer = await make_token(visitor)

    count = await get_accounts(app).logins.revoke_all()

    assert count == 2
    assert await who_is(app, Authorization=f"Bearer {bearer}") == "nobody"
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events WHERE kind = 'all_logins_revoked'") == [(1,)]


# --- what is sent and logged meanwhile


@pytest.mark.requirement("C7")
async def test_logout_deletes_each_cookie_with_its_attributes(app: Quart) -> None:
    visitor = SecureVisitor(app.test_client())
    await add_user(app, "Alice")
    signed_in = await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    await visitor.sign_out()
    home = await visitor.get("/")

    came = attributes_by_name(signed_in.headers.getlist("Set-Cookie"))
    went = attributes_by_name([*visitor.pages[-2].headers.getlist("Set-Cookie"), *home.headers.getlist("Set-Cookie")])

    for name in ("__Host-quartlogin", "__Host-quartlogin_remember"):
        assert went[name] == came[name] == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    assert set(visitor.cookies) == {"__Host-quartlogin_browser"}


def attributes_by_name(lines: list[str]) -> dict[str, set[str]]:
    """What stands behind each cookie's value, but for its times; of the last one where there are several."""
    parts = [line.split("; ") for line in lines]
    return {
        first.partition("=")[0]: {one for one in rest if not one.startswith(("Expires", "Max-Age"))}
        for first, *rest in parts
    }


@pytest.mark.requirement("C8", "V7")
async def test_responses_that_set_a_cookie_are_not_cached(app: Quart) -> None:
    visitor = SecureVisitor(app.test_client())

    await live_a_whole_life(visitor)

    with_cookies = [page for page in visitor.pages if "Set-Cookie" in page.headers]
    assert len(with_cookies) > 10
    assert {page.headers["Cache-Control"] for page in with_cookies} == {"private, no-store"}
    assert all("Cookie" in page.headers["Vary"] for page in with_cookies)


@pytest.mark.requirement("C9")
async def test_the_audit_log_follows_a_login_by_a_reference_that_is_no_credential(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    await add_user(app, "Alice")
    caplog.set_level(logging.INFO, "quartlogin.audit")
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    ids = {session_in(app, visitor)["_login_id"]}
    visitor.client.delete_cookie("localhost", "quartlogin")
    await visitor.get("/")
    await visitor.fill_in("/reauthenticate", password=PASSWORD)
    ids.add(session_in(app, visitor)["_login_id"])
    await visitor.sign_out()

    told = [json.loads(record.message) for record in caplog.records if record.name == "quartlogin.audit"]

    assert [event["event"] for event in told] == ["signed_in", "login_resumed", "reauthenticated", "signed_out"]
    assert len({event["subject"] for event in told}) == 1
    assert not [one for one in ids if one in caplog.text]


@pytest.mark.requirement("C10", "7.5.1")
async def test_session_hijacking_a_login_in_another_browser_is_logged_once_and_needs_the_password(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin.audit")
    await visitor.register("Alice")
    elsewhere = {"User-Agent": "another browser"}

    pages = [await visitor.get("/account", headers=elsewhere) for _ in range(3)]
    guarded = await visitor.get("/account/password", headers=elsewhere)

    told = [json.loads(record.message) for record in caplog.records if record.name == "quartlogin.audit"]
    assert [page.status for page in pages] == [200, 200, 200]
    assert str(guarded.location).startswith("/reauthenticate?next=")
    assert [(event["event"], event["browser"]) for event in told[2:]] == [
        ("login_context_changed", "another browser"),
        ("reauthentication_required", "another browser"),
    ]


@pytest.mark.requirement("C10")
async def test_session_hijacking_a_forged_session_is_not_logged(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin.audit")
    serializer = app.session_interface.get_signing_serializer(app)
    ended = serializer.dumps({"_user_id": "x" * 22, "_login_id": "y" * 32, "_fresh": True, "_id": "z"})

    page = await visitor.get("/account", headers=header_of({"quartlogin": ended}))

    assert page.status == 302
    assert [json.loads(record.message)["event"] for record in caplog.records] == ["access_denied"]


# --- what needs more than a session


@pytest.mark.requirement("7.5.3")
@pytest.mark.parametrize("password", ["", "not the right password", PASSWORD.upper()])
async def test_account_deletion_requires_the_password(visitor: Visitor, database: str, password: str) -> None:
    await visitor.register("Alice")

    refused = await visitor.fill_in("/account/delete", password=password)

    assert refused.status == 400
    assert run_sql(database, "SELECT username FROM quartlogin_users") == [("Alice",)]
    assert await visitor.is_signed_in()


@pytest.mark.requirement("V16")
async def test_mass_assignment_a_token_is_always_created_for_the_current_user(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    bob = await add_user(app, "Bob")
    await visitor.register("Alice")
    token = (await visitor.get("/account")).token
    claims = {"user_id": bob.id, "user": bob.id, "username": "Bob", "id": bob.id, "owner": "Bob"}

    made = await visitor.post("/account/tokens?user_id=" + bob.id, {"csrf_token": token, "name": "backup", **claims})

    bearer = re.search(r"<code>([\w.-]{40,})</code>", made.text)
    assert bearer is not None
    assert await who_is(app, Authorization=f"Bearer {bearer[1]}") == "Alice"


@pytest.mark.requirement("V16")
async def test_cookie_theft_a_restored_login_creates_no_token_without_the_password(
    visitor: Visitor, database: str, app: Quart
) -> None:
    await add_user(app, "Alice")
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    visitor.client.delete_cookie("localhost", "quartlogin")
    token = (await visitor.get("/account")).token

    answer = await visitor.post("/account/tokens", {"csrf_token": token, "name": "backup"})

    assert str(answer.location).startswith("/reauthenticate")
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins WHERE kind = 'bearer'") == [(0,)]
