"""Methods of an app's users that raise, or return what they must not: each is one line in the log, which names it."""

import asyncio
import logging
from typing import Any

import pytest
from test_app_users import People, accounts_file, make_app, people, registered

from client import Visitor
from databases import run_sql
from quartlogin import ConfigurationError
from quartlogin.accounts import Accounts, FieldError, get_accounts
from slow import mostly_slow

__all__ = ["accounts_file", "people"]

ADA = "ada@example.org"


def fail(*_: Any) -> Any:
    raise RuntimeError("boom")


async def fail_later(*_: Any) -> Any:
    raise RuntimeError("boom")


async def none_at_all(_: list[str]) -> Any:
    return None


@pytest.mark.parametrize(
    ("method", "function", "path"),
    mostly_slow(
        [
            ("name_of", fail, "/account"),
            ("stamp", fail, "/account"),
            ("normalize", fail, "/login"),
            ("old_password_hash", fail, "/login"),
            ("by_ids", fail_later, "/account"),
            ("by_ids", none_at_all, "/account"),
        ],
        quick=3,
    ),
)
async def test_a_method_that_fails_is_named(
    people: People, accounts_file: str, caplog: pytest.LogCaptureFixture, method: str, function: Any, path: str
) -> None:
    async with make_app(people, accounts_file).test_app() as running:
        ada = Visitor(running.test_client())
        await ada.register(ADA)
    if path == "/login":
        run_sql(accounts_file, "DELETE FROM quartlogin_passwords")
    failing = type("Failing", (People,), {method: staticmethod(function)})(people.path)
    app = make_app(failing, accounts_file)
    async with app.test_app():
        visitor = Visitor(app.test_client())
        visitor.client.cookie_jar = ada.client.cookie_jar  # type: ignore[misc]
        if path == "/login":
            visitor = Visitor(app.test_client())
        page = await (visitor.get(path) if path == "/account" else visitor.sign_in(ADA))

    assert page.status == 503
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any(f"Failing.{method} " in line for line in errors), errors
    assert not any("database" in line for line in errors), errors


async def test_a_method_that_takes_too_long_is_said_to_have(
    people: People, accounts_file: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(People):
        async def by_name(self, name: str) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr("quartlogin.accounts.users.checked.TIMEOUT", 0.01)
    app = make_app(Hanging(people.path), accounts_file)
    async with app.test_app():
        await Visitor(app.test_client()).sign_in(ADA)

    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("Hanging.by_name " in line and "0.01 seconds" in line for line in errors), errors


async def test_a_user_without_a_stamp_yet_keeps_the_account_when_there_is_one(
    people: People, accounts_file: str
) -> None:
    class Stamped(People):
        made: str | None = None

        def stamp(self, _: Any) -> str | None:
            return self.made

    stamped = Stamped(people.path)
    app = make_app(stamped, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        assert (await ada.get("/me")).status == 200
        stamped.made = "now"

        assert (await ada.get("/me")).status == 200
    assert run_sql(accounts_file, "SELECT stamp FROM quartlogin_accounts") == [("now",)]


async def test_a_name_that_cannot_be_kept_is_not_valid(people: People, accounts_file: str) -> None:
    class AsTyped(People):
        def normalize(self, typed: str) -> str:
            return typed

    app = make_app(AsTyped(people.path), accounts_file)
    async with app.test_app(), app.test_request_context("/"):
        with pytest.raises(FieldError):
            await get_accounts(app).register("ada\ud800@example.org", "a password of this test")


# --- what is wrong when the class is registered


async def later(_: Any) -> None: ...


def at_once() -> None: ...


@pytest.mark.parametrize(("method", "function"), [("create", later), ("rename", later), ("stamp", at_once)])
def test_a_method_that_does_not_take_what_it_is_called_with_is_refused(
    people: People, method: str, function: Any
) -> None:
    wrong = type("Wrong", (People,), {method: staticmethod(function)})(people.path)

    with pytest.raises(ConfigurationError, match=f"Wrong.{method} "):
        Accounts(database="accounts.sqlite3").users(wrong)


@pytest.mark.parametrize("given", [None, fail])
def test_what_is_no_class_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="register a class"):
        Accounts(database="accounts.sqlite3").users(given)
