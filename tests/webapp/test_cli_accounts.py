"""The commands that manage accounts, their logins and their tokens."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner, Result
from quart import Quart

from client import KEY, PASSWORD, Visitor, with_cheap_hashes
from commands import error_of
from databases import run_sql
from event_kinds import KINDS
from quartlogin.webapp import create_app
from quartlogin.webapp.cli import main

OTHER_PASSWORD = "another staple, another horse"


def run(database: str, *arguments: str, typed: str = "", key: str | None = KEY) -> Result:
    environment = {"QUARTLOGIN_DATABASE": database} | ({} if key is None else {"QUARTLOGIN_SECRET_KEY": key})
    return CliRunner().invoke(main, list(arguments), input=typed, env=environment)


@asynccontextmanager
async def serving(database: str) -> AsyncIterator[Quart]:
    """The application on the same database, as the service that runs beside the command line."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with app.test_app():
        yield app


@pytest.fixture
async def alice(database: str) -> AsyncIterator[Visitor]:
    """Alice's browser, signed in."""
    async with serving(database) as app:
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")
        yield visitor


async def command(*arguments: str, database: str, typed: str = "") -> Result:
    """Run a command beside the service: it has an event loop of its own, so it runs in a thread."""
    return await asyncio.to_thread(run, database, *arguments, typed=typed)


# --- accounts


async def test_accounts_are_listed_with_what_counts_now(alice: Visitor, database: str) -> None:
    listed = json.loads((await command("user", "list", "--json", database=database)).stdout)

    assert [(row["username"], row["active"], row["sign_ins_and_tokens"]) for row in listed] == [("Alice", True, 1)]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["created"])


async def test_a_table_has_a_line_for_each_account(alice: Visitor, database: str) -> None:
    lines = (await command("user", "list", database=database)).stdout.splitlines()

    assert lines[0].split() == ["USERNAME", "ACTIVE", "CREATED", "LAST", "SEEN", "SIGN", "INS", "AND", "TOKENS"]
    assert lines[1].split()[:2] == ["Alice", "yes"]
    assert len(lines) == 2


def test_an_empty_list_is_reported_and_empty_in_json(database: str) -> None:
    shown = run(database, "user", "list")

    assert (shown.exit_code, shown.stdout, len(shown.stderr.splitlines())) == (0, "", 1)
    assert run(database, "user", "list", "--json").stdout == "[]\n"


async def test_another_password_ends_every_sign_in(alice: Visitor, database: str) -> None:
    done = await command("user", "set-password", "alice", "--password-stdin", database=database, typed=OTHER_PASSWORD)

    assert (done.exit_code, "'alice'" in done.stdout) == (0, True)
    assert not await alice.is_signed_in()
    assert (await alice.sign_in("Alice", PASSWORD)).status == 400
    assert (await alice.sign_in("Alice", OTHER_PASSWORD)).status == 302


async def test_a_common_password_is_refused_and_nothing_changes(alice: Visitor, database: str) -> None:
    done = await command(
        "user", "set-password", "alice", "--password-stdin", database=database, typed="manchesterunited"
    )

    assert "common" in error_of(done)
    assert await alice.is_signed_in()


async def test_disabling_ends_everything_and_enabling_revives_nothing(alice: Visitor, database: str) -> None:
    disabled = await command("user", "disable", "Alice", database=database)
    while_disabled = (await alice.is_signed_in(), (await alice.sign_in()).status)
    enabled = await command("user", "enable", "Alice", database=database)
    afterwards = await alice.is_signed_in()

    assert [(done.exit_code, "'Alice'" in done.stdout) for done in (disabled, enabled)] == [(0, True)] * 2
    assert while_disabled == (False, 400)
    assert not afterwards
    assert (await alice.sign_in()).status == 302


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "disable", "bob"],
        ["user", "enable", "bob"],
        ["user", "set-password", "bob", "--password-stdin"],
        ["logins", "list", "bob"],
        ["logins", "revoke", "--user", "bob"],
        ["token", "create", "bob"],
        ["token", "list", "bob"],
        ["user", "disable", "a\u200bb"],
    ],
)
def test_an_unknown_name_is_one_sentence(database: str, arguments: list[str]) -> None:
    done = run(database, *arguments, typed=PASSWORD)

    assert done.stdout == ""
    assert re.search(r"'(?:bob|a\\u200bb)'", error_of(done))


async def test_what_the_operator_does_is_among_the_users_events(alice: Visitor, database: str) -> None:
    await command("user", "disable", "alice", database=database)
    await command("user", "enable", "alice", database=database)
    await alice.sign_in()

    page = await alice.get("/account")

    assert KINDS["user_disabled"] in page.text
    assert "Command line" in page.text


# --- sign-ins


async def test_a_sign_in_is_listed_and_ended_by_its_ref(alice: Visitor, database: str) -> None:
    [login] = json.loads((await command("logins", "list", "alice", "--json", database=database)).stdout)

    done = await command("logins", "revoke", login["ref"], database=database)
    again = await command("logins", "revoke", login["ref"], database=database)

    assert re.search(rf"\b{login['ref']}\b.*'Alice'", done.stdout)
    assert not await alice.is_signed_in()
    assert f"'{login['ref']}'" in error_of(again)


@pytest.mark.requirement("7.4.5")
@pytest.mark.parametrize("choice", [["--user", "alice"], ["--everyone", "--yes"]])
async def test_all_sign_ins_are_ended_at_once(alice: Visitor, database: str, choice: list[str]) -> None:
    done = await command("logins", "revoke", *choice, database=database)

    assert done.stdout.startswith("Ended 1 ")
    assert not await alice.is_signed_in()


async def test_everyone_is_asked_about_first(alice: Visitor, database: str) -> None:
    done = await command("logins", "revoke", "--everyone", database=database, typed="n\n")

    assert done.exit_code == 1
    assert await alice.is_signed_in()


@pytest.mark.parametrize("arguments", [[], ["public_id", "--everyone"], ["ref", "--user", "alice"]])
def test_revoking_wants_one_thing(database: str, arguments: list[str]) -> None:
    assert run(database, "logins", "revoke", *arguments).exit_code == 2


async def test_terminal_injection_control_characters_of_a_user_agent_are_removed(alice: Visitor, database: str) -> None:
    run_sql(database, "UPDATE quartlogin_logins SET address = char(27) || '[2J'")

    printed = (await command("logins", "list", "alice", database=database)).stdout

    assert "?[2J" in printed
    assert "\x1b" not in printed


# --- tokens


async def test_a_token_is_printed_alone_and_works(alice: Visitor, database: str) -> None:
    made = await command("token", "create", "alice", "--name", "backup", "--days", "7", database=database)
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    before = await alice.get("/api/me", headers=headers)
    [listed] = json.loads((await command("token", "list", "alice", "--json", database=database)).stdout)
    done = await command("token", "revoke", listed["ref"], database=database)
    after = await alice.get("/api/me", headers=headers)

    assert made.exit_code == 0
    assert (before.status, '"username":"Alice"' in before.text) == (200, True)
    assert listed["name"] == "backup"
    assert re.search(rf"\b{listed['ref']}\b.*'Alice'", done.stdout)
    assert after.status == 401


@pytest.mark.slow
async def test_more_than_fifty_tokens_are_not_made(alice: Visitor, database: str) -> None:
    page = await alice.get("/account")
    for _ in range(50):
        await alice.post("/account/tokens", {"csrf_token": page.token, "name": "one of many"})

    done = await command("token", "create", "alice", database=database)

    assert done.stdout == ""
    assert re.search(r"'Alice'.*\b50\b", error_of(done))


async def test_a_disabled_user_gets_no_token(alice: Visitor, database: str) -> None:
    await command("user", "disable", "alice", database=database)

    done = await command("token", "create", "alice", database=database)

    assert re.search(r"'alice'.*\bdisabled\b", error_of(done))


@pytest.mark.parametrize("name", ["", "\x1b[2J", "x" * 65], ids=["none", "control characters", "too long"])
def test_a_token_of_an_invalid_name_is_one_sentence(database: str, name: str) -> None:
    done = run(database, "token", "create", "alice", "--name", name)

    assert "64" in error_of(done)
    assert "\x1b" not in done.output


async def test_an_unknown_token_is_one_sentence(alice: Visitor, database: str) -> None:
    [login] = json.loads((await command("logins", "list", "alice", "--json", database=database)).stdout)

    for ref in ("0" * 16, login["ref"]):
        assert f"'{ref}'" in error_of(await command("token", "revoke", ref, database=database))
    assert await alice.is_signed_in()


def test_a_token_needs_the_services_key(database: str) -> None:
    done = run(database, "token", "create", "alice", key=None)

    assert "QUARTLOGIN_SECRET_KEY" in error_of(done)


async def test_a_ref_of_a_token_is_none_of_a_sign_in(alice: Visitor, database: str) -> None:
    await command("token", "create", "alice", database=database)
    [listed] = json.loads((await command("token", "list", "alice", "--json", database=database)).stdout)

    done = await command("logins", "revoke", listed["ref"], database=database)

    assert done.exit_code == 1
    assert await alice.is_signed_in()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught_to_complete(database: str, shell: str) -> None:
    done = run(database, "completion", shell)

    assert done.exit_code == 0
    assert "_QUARTLOGIN_COMPLETE" in done.stdout
