"""The steps of the accounts, told to listeners: sign-ins, logins, statements and hashes, and never a secret."""

import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from quart import Quart

from client import KEY, NEW_PASSWORD, PASSWORD, WRONG, Visitor, change_password, guess, set_active
from databases import both_databases, run_sql
from quartlogin import tracing
from quartlogin.accounts import get_accounts
from quartlogin.accounts.audit import login_steps
from quartlogin.accounts.database import statements
from quartlogin.accounts.sign_in import outcomes
from quartlogin.tracing import STEPS, Step


@pytest.fixture
def steps() -> Iterator[list[Step]]:
    told: list[Step] = []
    with tracing.listening(told.append):
        yield told


def of(steps: list[Step], name: str, detail: str = "outcome") -> list[Any]:
    return [step.details.get(detail) for step in steps if step.name == name]


async def two_browsers(new_visitor: Callable[[], Visitor]) -> tuple[Visitor, Visitor]:
    one, other = new_visitor(), new_visitor()
    await one.sign_in()
    await other.sign_in()
    return one, other


async def test_each_sign_in_tells_its_outcome_and_its_hash(
    app: Quart, visitor: Visitor, alice: str, steps: list[Step]
) -> None:
    await guess(app)
    await guess(app, "nobody")
    await visitor.sign_in()
    for _ in range(10):
        await guess(app)
    await set_active(app, "Alice", active=False)
    await guess(app, password=PASSWORD, address="192.0.2.2")

    told = of(steps, "sign_in")
    assert told[:3] == ["wrong password", "unknown name", "signed in"]
    assert {*told[3:]} == {"wrong password", "rate limited"}
    assert of(steps, "sign_in", "user_id")[:3] == [alice, None, alice]
    hashes = [step for step in steps if step.name == "hashing"]
    assert len(hashes) == len(told) - told.count("rate limited")
    assert all(step.seconds is not None and step.details["waited"] >= 0 for step in hashes)
    assert {*of(steps, "hashing_queue", "in_use")} == {0, 1}
    assert {step.name for step in steps} <= STEPS.keys()


async def test_the_right_password_of_a_disabled_account_is_told_apart(
    app: Quart, alice: str, steps: list[Step]
) -> None:
    await set_active(app, "Alice", active=False)

    await guess(app, password=PASSWORD)

    assert of(steps, "sign_in") == ["account disabled"]


async def test_a_request_tells_whether_its_login_is_active(
    new_visitor: Callable[[], Visitor], alice: str, steps: list[Step]
) -> None:
    one, other = await two_browsers(new_visitor)
    await one.get("/account")
    await change_password(other)
    steps.clear()
    await one.get("/account")

    (row,) = (step.details for step in steps if step.name == "login_row")
    assert row["outcome"] == "ended or unknown"
    assert row["login"] == next(iter(of(steps, "session", "login")))
    assert (len(row["login"]), len(row["record"])) == (8, 8)


@both_databases
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE quartlogin_logins SET expires_at = 1", "expired"),
        ("UPDATE quartlogin_logins SET seen_at = 1", "not used for too long"),
        ("UPDATE quartlogin_accounts SET disabled_at = 1", "account disabled"),
        ("UPDATE quartlogin_accounts SET deleting_at = 1", "account being deleted"),
        ("UPDATE quartlogin_accounts SET security_stamp = 7", "password changed"),
        ("DELETE FROM quartlogin_logins", None),
    ],
)
async def test_a_login_that_is_not_active_tells_the_reason(
    database: str, visitor: Visitor, alice: str, steps: list[Step], change: str, reason: str | None
) -> None:
    await visitor.sign_in()
    run_sql(database, change)
    steps.clear()

    assert not await visitor.is_signed_in()
    assert of(steps, "login_row", "reason") == [reason]


async def test_the_steps_of_a_login_have_the_name_of_its_record(
    app: Quart, new_visitor: Callable[[], Visitor], alice: str, steps: list[Step]
) -> None:
    one, other = await two_browsers(new_visitor)
    await one.get("/account")
    (record, *_) = of(steps, "login_row", "record")

    await change_password(other)

    assert of(steps, "login_ended", "record") == [record]
    assert of(steps, "login_ended", "reason") == ["password changed"]


async def test_everything_that_ends_logins_tells_its_reason(
    app: Quart, new_visitor: Callable[[], Visitor], alice: str, steps: list[Step]
) -> None:
    logins, store = get_accounts(app).logins, get_accounts(app).store

    async def reasons_after(end: Callable[[Visitor], Awaitable[Any]]) -> set[str]:
        visitor = new_visitor()
        await visitor.sign_in()
        steps.clear()
        await end(visitor)
        return {*of(steps, "login_ended", "reason")}

    async def revoke_others(visitor: Visitor) -> None:
        await new_visitor().sign_in()
        await visitor.post("/account/logins/revoke-others", {"csrf_token": (await visitor.get("/account")).token})

    assert await reasons_after(Visitor.sign_out) == {"logout"}
    assert await reasons_after(revoke_others) == {"revoked by the user"}
    assert await reasons_after(lambda _: logins.revoke_others(alice)) == {"revoked by the operator"}
    assert await reasons_after(lambda _: logins.revoke_all()) == {"revoked by the operator"}
    assert await reasons_after(lambda _: get_accounts(app).end_logins(alice)) == {"ended by the app"}
    assert await reasons_after(lambda _: store.logins.remove_expired(2**40, 100)) == {"expired"}
    assert await reasons_after(lambda _: set_active(app, "Alice", active=False)) == {"account disabled"}
    await set_active(app, "Alice", active=True)
    assert await reasons_after(delete) == {"account deleted", "logout"}


async def delete(visitor: Visitor) -> None:
    await visitor.fill_in("/account/delete", password=PASSWORD)


async def test_a_stolen_remember_cookie_tells_why_the_login_ended(
    now: list[float], new_visitor: Callable[[], Visitor], alice: str, steps: list[Step]
) -> None:
    victim, thief = new_visitor(), new_visitor()
    await victim.fill_in("/login", username="Alice", password=PASSWORD, remember="1")
    name = next(name for name in victim.cookies if "remember" in name)
    stolen = victim.cookies[name]
    for visitor in (thief, victim):
        visitor.client.cookie_jar.clear()  # type: ignore[union-attr]  # a test client has one
        visitor.client.set_cookie("localhost", name, stolen)
        await visitor.get("/account")
        now[0] += 60

    assert of(steps, "login_ended", "reason") == ["a copy of its remember cookie was used"]


@both_databases
async def test_statements_are_told_with_placeholders_and_a_failure_by_its_class(
    app: Quart, database: str, visitor: Visitor, steps: list[Step]
) -> None:
    await visitor.register()
    await visitor.get("/account")
    texts = of(steps, "statement", "sql")
    rows = {step.details["sql"]: step.details["rows"] for step in steps if step.name == "statement"}
    run_sql(database, "ALTER TABLE quartlogin_logins RENAME TO gone")
    assert (await visitor.get("/account")).status == 503

    assert {text.split()[0] for text in texts} >= {"SELECT", "INSERT", "UPDATE"}
    assert "$1" in texts[-1]
    assert None not in {rows[text] for text in texts if " RETURNING " in text or text.startswith("SELECT")}
    assert {rows[text] for text in texts if " RETURNING " not in text and text.startswith("INSERT")} == {None}
    assert {*of(steps, "statement", "system")} == {"sqlite" if database.endswith(".sqlite3") else "postgresql"}
    assert {*of(steps, "database_error", "error")} == {error for error in of(steps, "statement", "error") if error}
    assert len(of(steps, "database_error", "error")) == 1


async def test_no_step_of_the_accounts_contains_a_secret(
    app: Quart, new_visitor: Callable[[], Visitor], alice: str, database: str, steps: list[Step]
) -> None:
    visitor = new_visitor()
    page = await visitor.get("/login")
    await guess(app, "SECRET-name", "SECRET-password")
    await guess(app, "Alice", "SECRET-password")
    fields = {"username": "Alice", "password": PASSWORD, "remember": "1", "csrf_token": page.token}
    await visitor.post("/login", fields)
    cookies = [*visitor.cookies.values()]
    await change_password(visitor)
    token_page = await visitor.post(
        "/account/tokens", {"csrf_token": (await visitor.get("/account")).token, "name": "x"}
    )
    token = re.search(r"<code[^>]*>([^<]+)<", token_page.text)[1]  # type: ignore[index]
    await new_visitor().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    await visitor.sign_out()
    run_sql(database, "DROP TABLE quartlogin_attempt_counters")
    await guess(app, "SECRET-name", "SECRET-password")

    told = repr([(step.name, dict(step.details), step.seconds) for step in steps]).lower()
    hashes = [row[0] for row in run_sql(database, "SELECT password_hash FROM quartlogin_passwords")]
    parts = [part for cookie in [*cookies, *visitor.cookies.values()] for part in cookie.split(".") if part]
    secrets = ["SECRET-", "Alice", KEY, PASSWORD, NEW_PASSWORD, WRONG, page.token, *hashes, *parts, *token.split(".")]
    assert len(parts) > 5
    assert [secret for secret in secrets if secret.lower() in told] == []
    assert not re.search(r"(?<![0-9.])[0-9a-f]{16}|\$argon2", told)


async def test_without_listeners_no_step_of_the_accounts_is_made(app: Quart, visitor: Visitor, alice: str) -> None:
    files = {module.__file__ for module in (tracing, login_steps, statements, outcomes)}
    called: list[str] = []

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename in files:
            called.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        await visitor.sign_in()
        await visitor.get("/account")
        await visitor.sign_out()
    finally:
        sys.setprofile(None)

    assert called == []
