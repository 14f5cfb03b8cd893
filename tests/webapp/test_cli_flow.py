"""`quartlogin flow`: the twelve steps of a sign-in, told; no secret is shown, and no login is left."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from app_modules import THREE_LINES, WriteModule, write_module
from client import PASSWORD, WRONG, with_cheap_hashes
from commands import error_of
from databases import run_sql
from quartlogin.webapp.cli import flow_browser, flow_run, main

__all__ = ["write_module"]

SECRET_KEY = "marked-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"
PLAIN = f"""
from quart import Quart, g, render_template_string
from quartlogin import LoginManager, UserMixin, login_required

app = Quart(__name__)
app.secret_key = {SECRET_KEY!r}
manager = LoginManager(app)


class Person(UserMixin):
    password = "marked-password"

    def __init__(self, id):
        self.id = id
        self.active = id != "sleeping"

    @property
    def is_active(self):
        return self.active

    def __repr__(self):
        return self.password


@app.before_request
async def connect():
    g.people = {{"7", "sleeping"}}


@manager.user_loader
async def load(user_id):
    return Person(user_id) if user_id in g.people else None


@app.get("/")
async def home():
    return await render_template_string("{{{{ current_user.id }}}}")


@app.get("/guarded")
@login_required
async def guarded():
    return "in"


@app.get("/broken")
async def broken():
    raise ValueError("a detail")
"""


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    create = flow_run.create_app
    monkeypatch.setattr(flow_run, "create_app", lambda **settings: with_cheap_hashes(create(**settings)))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that a run must not show: passwords, keys, cookies' values, CSRF tokens."""
    secrets = [SECRET_KEY, "marked-password", PASSWORD, "marked password of 33 characters!"]
    monkeypatch.setattr(flow_run, "token_urlsafe", lambda _: secrets[-1])
    monkeypatch.setattr(flow_run, "new_key", lambda: SECRET_KEY)
    send = flow_browser.FlowBrowser.send

    async def send_and_note(browser: flow_browser.FlowBrowser, *arguments: Any, **more: Any) -> flow_browser.Exchange:
        exchange = await send(browser, *arguments, **more)
        secrets.extend(cookie.value or "" for cookie in browser._client.cookie_jar or ())
        secrets.extend(re.findall(r'name="csrf_token" value="(\w+)"', exchange.body))
        return exchange

    monkeypatch.setattr(flow_browser.FlowBrowser, "send", send_and_note)
    return secrets


@pytest.fixture
def shop(write_module: WriteModule) -> str:
    """An app with accounts, in which Ada has one."""
    name = f"{write_module(THREE_LINES)}:app"
    created = CliRunner().invoke(main, ["user", "create", "ada", "--password-stdin", "--app", name], input=PASSWORD)
    assert created.exit_code == 0, created.output
    return name


def flow(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["flow", *arguments], input=typed)


def told(*arguments: str, typed: str = "") -> dict[str, Any]:
    result = flow(*arguments, "--json", typed=typed)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def steps_in(found: dict[str, Any], number: int) -> list[str]:
    return [step["step"] for step in found["steps"][number - 1]["steps"]]


def active_logins(app: str) -> int:
    listed = CliRunner().invoke(main, ["logins", "list", "ada", "--json", "--app", app])
    return len(json.loads(listed.stdout))


def test_the_twelve_steps_are_told_in_their_order() -> None:
    result = flow()

    assert result.exit_code == 0, result.output
    assert re.findall(r"^ ?(\d+)\. ", result.stdout, re.MULTILINE) == [str(number) for number in range(1, 13)]
    assert "csrf_token, username, password" in result.stdout
    assert "(ada)" in result.stdout


def test_each_step_of_the_flow_is_where_the_article_has_it() -> None:
    found = told()

    assert [request["method"] for request in found["requests"]] == ["GET", "POST", "GET"]
    assert found["requests"][1]["fields"] == ["csrf_token", "username", "password"]
    assert "request" in steps_in(found, 2)
    assert {"statement", "hashing"} <= {*steps_in(found, 3)}
    assert steps_in(found, 4)[0] == "login"
    assert "cookie_written" in steps_in(found, 4)
    assert steps_in(found, 5) == ["response"]
    assert steps_in(found, 6) == ["request"]
    assert steps_in(found, 8) == ["template"]
    assert steps_in(found, 9)[:2] == ["session_cookie", "session"]
    assert steps_in(found, 10) == ["loader"]
    assert "statement" in steps_in(found, 11)
    assert steps_in(found, 12)[-1] == "response"
    assert found["user"]["type"] == "User"
    assert all(step["sentences"] for step in found["steps"])


@pytest.mark.parametrize("output", [[], ["--json"], ["--svg"]])
def test_no_secret_is_shown(shop: str, write_module: WriteModule, secrets: list[str], output: list[str]) -> None:
    own = flow("--app", f"{write_module(PLAIN)}:app", "--user", "7", *output)
    shown = [flow(*output), own, flow("--app", shop, "--user", "ada", "--login-page", *output, typed=PASSWORD)]

    assert [result.exit_code for result in shown] == [0, 0, 0], [result.output for result in shown]
    assert len(secrets) > 10
    assert [secret for secret in secrets if any(secret in result.output for result in shown)] == []


def test_an_error_that_repeats_the_password_is_told_without_it(write_module: WriteModule) -> None:
    careless = """
from quart import request


@app.route("/login/<token>", methods=["GET", "POST"])
async def login(token):
    if request.method == "POST":
        raise ValueError((await request.form)["pw"])
    return "<form method=post action=/login/marked-token><input name=a><input name=pw type=password></form>"


manager.login_view = "/login/first"
"""
    result = flow(
        "--app", f"{write_module(PLAIN + careless)}:app", "--user", "7", "--login-page", typed="marked-password\n"
    )

    assert "ValueError" in result.stderr.splitlines()[-1]
    assert "marked-" not in result.output


def test_nothing_is_left_of_the_made_up_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("QUARTLOGIN_DATABASE", str(tmp_path / "own.sqlite3"))
    monkeypatch.setenv("QUARTLOGIN_ALLOWED_HOSTS", '["example.org"]')

    assert flow().exit_code == 0
    assert [*tmp_path.iterdir()] == []


def test_a_user_of_an_app_is_signed_in_without_a_password_and_out_again(shop: str) -> None:
    found = told("--app", shop, "--user", "ADA", "--path", "/account")

    assert found["user"]["name"] == "ada"
    assert found["requests"][-1]["status"] == 200
    assert found["steps"][0]["steps"] == []
    assert "login" in steps_in(found, 4)
    assert run_sql("app.sqlite3", "SELECT username FROM quartlogin_users") == [("ada",)]
    assert active_logins(shop) == 0


def test_the_login_ends_even_if_the_password_must_be_changed_or_the_page_fails(
    shop: str, write_module: WriteModule
) -> None:
    CliRunner().invoke(main, ["user", "require-change", "ada", "--app", shop])

    led_away = told("--app", shop, "--user", "ada", "--path", "/account")
    again = f"{write_module(THREE_LINES)}:app"
    on_page = told("--app", again, "--user", "ada", "--login-page", "--path", "/account", typed=f"{PASSWORD}\n")
    broken = THREE_LINES + "\n@app.get('/broken')\nasync def broken():\n    raise ValueError('a detail')\n"
    fails = flow("--app", f"{write_module(broken)}:app", "--user", "ada", "--path", "/broken")

    assert [found["requests"][-1]["status"] for found in (led_away, on_page)] == [302, 302]
    assert "ValueError" in error_of(fails)
    assert active_logins(shop) == 0


FAILS_WHEN_SIGNED_IN = """
from quartlogin import current_user


@app.before_request
async def fail():
    if (await current_user).is_authenticated:
        raise ValueError("a detail")
"""
FAILS_AFTER_SIGNING_IN = """
from quartlogin import login_id


@app.after_request
async def fail(response):
    if login_id() is not None:
        raise ValueError("a detail")
    return response
"""


@pytest.mark.parametrize("added", [FAILS_WHEN_SIGNED_IN, FAILS_AFTER_SIGNING_IN])
@pytest.mark.parametrize("page", [[], ["--login-page"]])
def test_the_login_ends_even_if_every_request_of_its_user_fails(
    shop: str, write_module: WriteModule, added: str, page: list[str]
) -> None:
    result = flow("--app", f"{write_module(THREE_LINES + added)}:app", "--user", "ada", *page, typed=f"{PASSWORD}\n")

    assert result.exit_code == 1
    assert "ValueError" in result.stderr.splitlines()[-1]
    assert active_logins(shop) == 0


RECORDS_THAT_FAIL = """
from quartlogin import NoRecords


class Records(NoRecords):
    async def login_ended(self, login_id):
        raise ValueError("a detail")


manager.records = Records()
"""


@pytest.mark.parametrize(("path", "why"), [("/broken", "/broken"), ("/guarded", None)])
def test_a_login_that_could_not_be_ended_is_told(write_module: WriteModule, path: str, why: str | None) -> None:
    name = f"{write_module(PLAIN + RECORDS_THAT_FAIL)}:app"
    result = flow("--app", name, "--user", "7", "--path", path)

    assert "could not be ended" in (result.stdout if why is None else error_of(result))
    assert why is None or why in error_of(result)
    assert "Traceback" not in result.output


def test_the_login_page_of_an_app_is_used_with_a_password_that_is_prompted_for(
    shop: str, write_module: WriteModule
) -> None:
    found = told("--app", shop, "--user", "ada", "--login-page", typed=f"{PASSWORD}\n")
    again = f"{write_module(THREE_LINES)}:app"
    refused = flow("--app", again, "--user", "ada", "--login-page", typed=f"{WRONG}\n")

    assert found["requests"][1]["fields"] == ["csrf_token", "username", "password"]
    assert found["user"]["name"] == "ada"
    assert active_logins(shop) == 0
    assert refused.exit_code == 1
    assert "POST /login" in refused.stderr
    assert WRONG not in refused.output


def test_no_other_login_is_evicted(shop: str, write_module: WriteModule, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(*_: Any) -> bool:
        return False

    limited = THREE_LINES.replace('app.sqlite3"', 'app.sqlite3", features=[Passwords(), Logins(max_per_user=1)]')
    name = f"{write_module(limited.replace('import Accounts', 'import Accounts, Logins, Passwords'))}:app"
    with monkeypatch.context() as patch:
        patch.setattr(flow_run._OwnViews, "end_logins", leave)
        left = told("--app", shop, "--user", "ada")

    refused = flow("--app", name, "--user", "ada")

    assert "not be ended" in left["afterwards"]
    assert "'ada'" in error_of(refused)
    assert active_logins(shop) == 1


def test_an_app_with_a_login_manager_alone_needs_the_id(write_module: WriteModule) -> None:
    found = told("--app", f"{write_module(PLAIN)}:app", "--user", "7")

    assert found["user"] == {"type": "Person", "id": "7", "name": None}
    assert steps_in(found, 5) == []
    assert steps_in(found, 10) == ["loader"]


def test_a_loader_that_looks_for_the_record_of_the_login_is_served(write_module: WriteModule) -> None:
    recorded = """
from quartlogin import login_id


class Records:
    began = {}

    async def login_began(self, login):
        self.began[login.id] = login.user_id

    async def login_ended(self, login_id):
        del self.began[login_id]


records = manager.records = Records()


@manager.user_loader
async def load_recorded(user_id):
    return Person(user_id) if login_id() in records.began else None


@app.after_serving
def check():
    assert not records.began
"""
    found = told("--app", f"{write_module(PLAIN + recorded)}:app", "--user", "7")

    assert found["user"]["id"] == "7"


def test_a_guard_that_asks_before_the_template_is_told(write_module: WriteModule) -> None:
    found = told("--app", f"{write_module(PLAIN)}:app", "--user", "7", "--path", "/guarded")

    assert "guard" in steps_in(found, 7)
    assert steps_in(found, 8) == []
    assert "guard" in found["steps"][7]["sentences"][0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--user", "8"], "None"),
        (["--user", "sleeping"], "active"),
        (["--user", "7", "--path", "/broken"], "ValueError"),
        (["--user", "7", "--login-page"], "login_view"),
    ],
)
def test_what_goes_wrong_in_an_app_is_one_sentence(write_module: WriteModule, arguments: list[str], word: str) -> None:
    result = flow("--app", f"{write_module(PLAIN)}:app", *arguments, typed="x\n")

    assert result.exit_code == 1
    assert word in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("added", "word"),
    [
        ("manager = app.login_manager = None", "LoginManager(app)"),
        ("app.secret_key = None", "app.secret_key"),
        ("@app.before_request\ndef close():\n    return 'closed', 503", "503"),
        ("@manager.user_loader\ndef fail(user_id):\n    raise KeyError(user_id)", "KeyError"),
    ],
)
def test_an_app_that_cannot_sign_in_is_one_sentence(write_module: WriteModule, added: str, word: str) -> None:
    assert word in error_of(flow("--app", f"{write_module(PLAIN + added)}:app", "--user", "7"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "ada"],
        ["--login-page"],
        ["--app", "m:app"],
        ["--path", "https://example.org"],
        ["--path", "//example.org"],
        ["--svg", "--json"],
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments: list[str]) -> None:
    assert flow(*arguments).exit_code == 2


def test_the_diagram_is_written_to_a_file_or_printed(tmp_path: Path) -> None:
    file = tmp_path / "flow.svg"

    written, printed = flow("--svg", str(file)), flow("--svg")
    refused = flow("--svg", str(tmp_path / "missing" / "flow.svg"))

    assert ElementTree.fromstring(file.read_text("utf-8")).get("role") == "img"
    assert ElementTree.fromstring(printed.stdout).get("role") == "img"
    assert "12." in written.stdout
    assert "missing" in error_of(refused)
