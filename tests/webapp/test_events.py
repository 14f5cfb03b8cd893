"""Events: stored for the user, logged for the operator, sent to open pages."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from unittest import mock

import pytest
from quart import Quart

from client import KEY, NEW_PASSWORD, PASSWORD, Visitor, header_of, with_cheap_hashes
from databases import both_databases, run_sql
from event_kinds import KINDS
from quartlogin.accounts import get_accounts
from quartlogin.webapp import create_app
from sockets import open_socket
from waiting import eventually


@pytest.mark.requirement("16.2.1", "16.2.2", "16.2.5", "16.3.1")
async def test_each_event_is_shown_and_logged_once_without_secrets(
    visitor: Visitor, new_visitor: Callable[[], Visitor], database: str, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    alice, other = visitor, new_visitor()
    await alice.register("Alice")
    await other.sign_in("Alice", "not the right password")
    await other.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    secrets = [PASSWORD, NEW_PASSWORD, "not the right password", *alice.cookies.values(), *other.cookies.values()]
    other.client.delete_cookie("localhost", "quartlogin")
    await other.get("/")
    page = await alice.get("/account")
    made = await alice.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    secrets += re.findall(r"<code>([\w.-]{40,})</code>", made.text)
    await alice.post(re.search(r"/account/tokens/\w+/revoke", made.text)[0], {"csrf_token": page.token})  # type: ignore[index]
    await alice.post("/account/logins/revoke-others", {"csrf_token": page.token})
    await alice.fill_in("/reauthenticate", password="not the right password")
    await alice.fill_in("/reauthenticate", password=PASSWORD)
    await alice.fill_in("/account/password", current_password="not the right password", new_password=NEW_PASSWORD)
    await alice.fill_in("/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)
    await alice.fill_in("/account/delete", password="not the right password")
    await alice.sign_out()

    told = logged()
    kept = [kind for (kind,) in run_sql(database, "SELECT kind FROM quartlogin_events ORDER BY id")]
    assert (
        [event["event"] for event in told]
        == kept
        == [
            "registered",
            "signed_in",
            "sign_in_failed",
            "signed_in",
            "login_resumed",
            "token_created",
            "token_revoked",
            "logins_revoked",
            "reauthentication_failed",
            "reauthenticated",
            "password_change_failed",
            "password_changed",
            "account_deletion_failed",
            "signed_out",
        ]
    )
    assert set(kept) <= KINDS.keys()
    assert all(datetime.fromisoformat(event["at"]).tzinfo is not None for event in told)
    assert all(event["at"].endswith("Z") for event in told)
    assert not [secret for secret in secrets if secret in json.dumps(told)]


@pytest.mark.requirement("16.2.5")
async def test_unknown_usernames_are_logged_as_a_hash(
    visitor: Visitor, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    await visitor.sign_in("my password by mistake", "x" * 20)

    [told] = logged()
    assert "user" not in told
    assert re.fullmatch(r"[0-9a-f]{16}", told["name_hash"])
    assert "mistake" not in json.dumps(told)


@pytest.mark.requirement("16.4.1")
async def test_log_injection_a_user_agent_adds_no_line(
    visitor: Visitor, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    page = await visitor.get("/login")
    fields = {"csrf_token": page.token, "username": "x", "password": "x"}
    await visitor.post("/login", fields, headers={"User-Agent": 'a\x1b[2J"}' + "x" * 1000})

    [told] = logged()
    assert told["browser"].startswith('a?[2J"}xxx')
    assert len(told["browser"]) == 256


@pytest.mark.requirement("3.2.2")
@pytest.mark.requirement("1.2.1")
async def test_xss_a_user_agent_is_escaped_on_the_account_page(
    visitor: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    await visitor.register("Alice")
    await visitor.get("/login")
    page = await new_visitor().get("/login")
    await visitor.post(
        "/login",
        {"csrf_token": page.token, "username": "Alice", "password": "x"},
        headers={"User-Agent": "<script>alert(1)</script>/1.0"},
    )

    assert "<script>alert" not in (await visitor.get("/account")).text


async def test_at_most_twenty_events_are_shown_and_only_the_users_own(
    visitor: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    await visitor.register("Alice")
    bob = new_visitor()
    await bob.register("Bob")
    token = (await visitor.get("/account")).token
    for _ in range(25):
        await visitor.post("/account/tokens", {"csrf_token": token, "name": "one of many"})

    page = (await visitor.get("/account")).text
    assert page.partition('id="events"')[2].count(KINDS["token_created"]) == 20
    assert KINDS["token_created"] not in (await bob.get("/account")).text


# --- the websocket of an open page


@pytest.mark.requirement("V25")
@pytest.mark.requirement("4.4.2", "4.4.3")
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}])
async def test_cross_site_websocket_hijacking_anonymous_and_cross_site_handshakes_are_rejected(
    app: Quart, visitor: Visitor, headers: dict[str, str]
) -> None:
    await visitor.register("Alice")
    cookies = header_of(visitor.cookies) if headers else {}

    async with open_socket(app, "/account/live", **headers, **cookies) as socket:
        assert await socket.status() == (403 if headers else 401)


@both_databases
async def test_an_open_page_receives_events_of_its_own_account_only_also_of_another_process(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], database: str
) -> None:
    elsewhere = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    await visitor.register("Alice")
    await new_visitor().register("Bob")
    with mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.05):
        async with (
            elsewhere.test_app(),
            open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket,
        ):
            await socket.accepted()
            await eventually(lambda: get_accounts(app).account_updates._known)
            await new_visitor().sign_in("Alice")
            first = await socket.hear()
            await new_visitor().sign_in("Bob")
            await Visitor(elsewhere.test_client()).sign_in("Alice", "not the right password")
            second = await socket.hear()

    assert (first["event"], first["text"], first["here"]) == ("signed_in", "Signed in", False)
    assert second["event"] == "sign_in_failed"


@pytest.mark.requirement("7.4.1")
@pytest.mark.requirement("4.4.3", "4.4.4")
async def test_a_page_whose_own_sign_in_was_ended_elsewhere_is_closed(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], database: str
) -> None:
    elsewhere = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    await visitor.register("Alice")
    with mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.05):
        async with (
            elsewhere.test_app(),
            open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket,
        ):
            await socket.accepted()
            await eventually(lambda: get_accounts(app).account_updates._known)
            await new_visitor().sign_in("Alice")
            await socket.hear()
            other = Visitor(elsewhere.test_client())
            await other.sign_in("Alice")
            page = await other.get("/account")
            await other.post("/account/logins/revoke-others", {"csrf_token": page.token})
            code = await socket.code()

    assert code == 1008


async def test_a_page_that_talks_is_closed(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")

    async with open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket:
        socket.say("hello")

        assert await socket.code() == 1003
