"""`quartlogin explain`: why a request is, or is not, signed in, on the terminal."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner, Result
from quart import Quart

from client import KEY, PASSWORD, Visitor, add_user, with_cheap_hashes
from commands import error_of
from databases import run_sql
from quartlogin import LoginManager, UserMixin, login_required, login_user
from quartlogin.webapp import create_app
from quartlogin.webapp.cli import main

AGENT = "Mozilla/5.0 (tests)"
URL = "http://localhost:5000/orders"


class User(UserMixin):
    id = "1"


def make_app() -> Quart:
    app = Quart("shop")
    app.secret_key = KEY
    manager = LoginManager(app)

    @manager.user_loader
    async def load(user_id: str) -> User:
        return User()

    @app.post("/login")
    async def login() -> str:
        await login_user(User(), remember=True)
        return "in"

    @app.get("/orders")
    @login_required
    async def orders() -> str:
        return "orders"

    return app


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The cookies of a browser that has signed in to `shop:make_app`."""
    (tmp_path / "shop.py").write_text("from test_cli_explain import make_app\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return asyncio.run(sign_in())


async def sign_in() -> dict[str, str]:
    client = make_app().test_client()
    await client.post("/login", headers={"User-Agent": AGENT}, scope_base={"client": ("127.0.0.1", 0)})
    return {cookie.name: cookie.value or "" for cookie in client.cookie_jar}


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments, "--app", "shop:make_app"])


def row(name: str, value: str, **given: Any) -> str:
    """Write a line of a cookie jar."""
    cookie = {"host": "localhost", "path": "/", "secure": "FALSE", "expires": 0, **given}
    return "\t".join(
        [f"#HttpOnly_{cookie['host']}", "FALSE", cookie["path"], cookie["secure"], str(cookie["expires"]), name, value]
    )


def jar(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "cookies.txt"
    path.write_text("\n".join(["# Netscape HTTP Cookie File", *rows]) + "\n")
    return str(path)


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    explained: dict[str, Any] = json.loads(result.output)
    return explained


def test_a_browser_that_is_signed_in_is_explained_from_its_cookie_jar(cookies: dict[str, str], tmp_path: Path) -> None:
    file = jar(tmp_path, *(row(name, value) for name, value in cookies.items()))

    explained = found(explain(URL, "--cookie-file", file, "-H", f"User-Agent: {AGENT}", "--json"))

    assert explained["request"] == "GET /orders: 200"
    assert explained["situation"].startswith("signed in")
    assert explained["notes"] == []
    assert [step["outcome"] for step in explained["steps"] if step["step"] == "protection"] == ["same browser"]


def test_a_command_that_starts_an_app_in_debug_mode_opens_no_page_of_it(
    cookies: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "debugged.py").write_text("from test_cli_explain import make_app\napp = make_app()\napp.debug = True\n")

    result = CliRunner().invoke(main, ["explain", URL, "--app", "debugged:app"])

    assert result.exit_code == 0
    assert "_quartlogin" not in result.output


def test_the_text_of_a_cookie_header_is_read_too(cookies: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "cookie.txt"
    file.write_text(f"Cookie: other=1; session={cookies['session']}\n")

    explained = found(explain(URL, "--cookie-file", str(file), "--json"))

    assert explained["request"] == "GET /orders: 200"


def test_a_cookie_that_a_browser_would_not_send_is_named_with_the_reason(
    cookies: dict[str, str], tmp_path: Path
) -> None:
    value, refused = cookies["session"], []
    for given in ({"host": "127.0.0.1"}, {"path": "/shop"}, {"path": "/order"}, {"secure": "TRUE"}, {"expires": 1}):
        explained = found(explain(URL, "--cookie-file", jar(tmp_path, row("session", value, **given)), "--json"))
        refused += explained["notes"]
        assert explained["cure"]
        assert explained["request"].startswith("GET /orders: 401")

    assert len({sentence.partition(": ")[2] for sentence in refused}) == 5
    assert not any(value in sentence for sentence in refused)


def test_a_request_without_cookies_is_explained_in_sentences(cookies: dict[str, str]) -> None:
    result = explain(URL)

    assert result.exit_code == 0
    first, *story = result.output.splitlines()
    assert first == "GET /orders: 401"
    assert story[0].startswith(" 1. ")
    assert all(len(line) <= 100 for line in story)
    assert result.stderr == ""


def test_session_protection_is_said_to_have_compared_this_command(cookies: dict[str, str], tmp_path: Path) -> None:
    file = jar(tmp_path, row("session", cookies["session"]))

    compared = found(explain(URL, "--cookie-file", file, "--json"))

    assert compared["request"] == "GET /orders: 200"
    assert len(compared["notes"]) == 1
    assert "User-Agent" in compared["notes"][0]


def test_explaining_leaves_the_browsers_cookies_valid(cookies: dict[str, str], tmp_path: Path) -> None:
    """A remember cookie is not replaced: the browser's own would count as stolen."""
    file = jar(tmp_path, row("remember_token", cookies["remember_token"]))

    explained = found(explain(URL, "--cookie-file", file, "--json"))

    assert explained["request"] == "GET /orders: 200"
    assert "restored" in [step["step"] for step in explained["steps"]]
    assert "cookie_written" not in [step["step"] for step in explained["steps"]]


def test_no_cookie_is_printed(cookies: dict[str, str], tmp_path: Path) -> None:
    file = jar(tmp_path, *(row(name, value) for name, value in cookies.items()))

    printed = explain(f"{URL}?token=SECRET", "--cookie-file", file, "-H", "X-Key: SECRET", "--json").output

    assert not any(part in printed for value in cookies.values() for part in value.split(".") if part)
    assert "SECRET" not in printed


@pytest.mark.parametrize("url", ["localhost:5000", "ftp://localhost/", "http://", "http://a:b@localhost/", "http://[/"])
def test_an_address_that_is_none_is_one_sentence(cookies: dict[str, str], url: str) -> None:
    assert explain(url).exit_code == 2


@pytest.mark.parametrize("text", ["", "no cookies here\n", "# Netscape HTTP Cookie File\na\tb\n", "\0\n"])
def test_a_file_without_cookies_is_one_sentence(cookies: dict[str, str], tmp_path: Path, text: str) -> None:
    file = tmp_path / "cookies.txt"
    file.write_text(text)

    assert "cookie" in error_of(explain(URL, "--cookie-file", str(file)))


def test_a_header_that_is_none_and_an_unknown_app_are_one_sentence(cookies: dict[str, str]) -> None:
    assert explain(URL, "-H", "no header").exit_code == 2
    unknown = CliRunner().invoke(main, ["explain", URL, "--app", "nothing:app"])
    assert "nothing" in error_of(unknown)


async def sign_in_an_hour_ago(database: str) -> str:
    """Sign in, and return once with the remember cookie alone, which is replaced then; returns the replaced one."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    an_hour_ago = time.time() - 3600
    with mock.patch("time.time", return_value=an_hour_ago):
        async with app.test_app():
            await add_user(app, "Ada")
            visitor = Visitor(app.test_client())
            page = await visitor.get("/login")
            await visitor.post(
                "/login", {"csrf_token": page.token, "username": "Ada", "password": PASSWORD, "remember": "y"}
            )
            remembered = visitor.cookies["quartlogin_remember"]
            again = Visitor(app.test_client())
            await again.get("/", headers={"Cookie": f"quartlogin_remember={remembered}"})
            assert again.cookies["quartlogin_remember"] != remembered
    return remembered


def test_explaining_a_replaced_remember_cookie_ends_no_login_and_counts_as_no_visit(
    database: str, tmp_path: Path
) -> None:
    remembered = asyncio.run(sign_in_an_hour_ago(database))
    (file := tmp_path / "cookie.txt").write_text(f"quartlogin_remember={remembered}")
    rows = "SELECT public_id, secrets, seen_at, expires_at, proofs FROM quartlogin_logins"
    events = "SELECT count(*) FROM quartlogin_events"
    before = [run_sql(database, statement) for statement in (rows, events)]

    result = CliRunner().invoke(
        main,
        ["explain", "http://localhost/account", "--cookie-file", str(file), "--database", database, "--json"],
        env={"QUARTLOGIN_SECRET_KEY": KEY},
    )

    assert "restored" in [step["step"] for step in found(result)["steps"]]
    assert any("remember cookie" in note for note in found(result)["notes"])
    assert [run_sql(database, statement) for statement in (rows, events)] == before
