"""The examples sign in and do their thing; the code in docs/ runs, and its diffs are those of the files."""

import ast
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from difflib import unified_diff
from http.cookies import SimpleCookie
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.testing import QuartClient, WebsocketResponseError

from client import PASSWORD, Visitor
from doc_pages import DOCS, PAGES, ROOT, blocks, run
from example_apps import EXAMPLES, load
from quartlogin import logout_user
from quartlogin.accounts.testing import use_cheap_hashes

MOVED = ["flask_login", "quart_auth"]
KEY = "a key for the tests of examples and pages"

#: What mypy and pyright are shown. Flask-Login has no types, so what moves from it has none either.
TYPED = [
    ROOT / "tests" / "typing_uses.py",
    *sorted(EXAMPLES.glob("*.py")),
    *sorted((EXAMPLES / "accounts").rglob("*.py")),
]

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-Login's own


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)


def visitor(app: Quart) -> Visitor:
    return Visitor(app.test_client())


# --- the examples ---------------------------------------------------------------------------------------------


async def test_the_minimal_app_signs_in_and_out() -> None:
    ada = visitor(load("minimal.py").app)
    turned_away = await ada.get("/me")
    refused = await ada.post("/login", {"name": "ada", "password": "wrong"})
    unknown = await ada.post("/login", {"name": "eve", "password": PASSWORD})
    signed_in = await ada.post("/login?next=%2Fme", {"name": "ada", "password": PASSWORD})
    greeted = await ada.get("/me")
    await ada.post("/logout", {})

    assert turned_away.location == "/login?next=%2Fme"
    assert (refused.status, unknown.status, signed_in.location) == (422, 422, "/me")
    assert greeted.text.startswith("Hello, ada.")
    assert (await ada.get("/me")).status == 302


async def test_open_redirects_of_the_minimal_app_are_blocked() -> None:
    ada = visitor(load("minimal.py").app)
    page = await ada.post("/login?next=//evil.example", {"name": "ada", "password": PASSWORD})

    assert page.location == "/me"


async def test_three_lines_give_an_app_sign_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = load("accounts/three_lines.py").app
    use_cheap_hashes(app)
    async with app.test_app():
        ada = visitor(app)
        turned_away = await ada.get("/notes")
        refused = await ada.register("<Ada")
        registered = await ada.register("Ada")
        notes = await ada.get("/notes")
        await ada.sign_out()
        signed_in = await ada.fill_in("/login?next=%2Fnotes", username="ada", password=PASSWORD, next="/notes")

    assert turned_away.location == "/login?next=%2Fnotes"
    assert (refused.status, registered.location) == (400, "/")
    assert "Your notes, Ada" in notes.text
    assert signed_in.location == "/notes"


async def ask_api(
    client: QuartClient, method: str, path: str, token: str | None = None, **asked: Any
) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await client.open(path, method=method, headers=headers, **({"json": asked} if asked else {}))
    return answer.status_code, await answer.get_json(silent=True)


@pytest.mark.slow
async def test_the_api_takes_tokens_until_they_end() -> None:
    client = load("api.py").create_app().test_client()
    _, refused = await ask_api(client, "POST", "/tokens", name="ada", password="wrong")
    status, made = await ask_api(client, "POST", "/tokens", name="ada", password=PASSWORD)
    token = made["token"]
    added = await ask_api(client, "POST", "/notes", token, text="Buy milk")
    listed = await ask_api(client, "GET", "/notes", token)
    ended, _ = await ask_api(client, "DELETE", "/tokens/current", token)

    assert (status, refused.keys()) == (201, {"error"})
    assert added == (201, {"notes": ["Buy milk"]})
    assert listed == (200, {"notes": ["Buy milk"]})
    assert ended == 204
    assert (await ask_api(client, "GET", "/notes", token))[0] == 401


async def test_the_api_says_to_send_a_token() -> None:
    client = load("api.py").create_app().test_client()
    answer = await client.get("/notes")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in (await answer.get_json())["error"]


@pytest.mark.slow
async def test_one_token_of_the_api_ends_without_the_other() -> None:
    client = load("api.py").create_app().test_client()
    first, second = [
        (await ask_api(client, "POST", "/tokens", name="ada", password=PASSWORD))[1]["token"] for _ in range(2)
    ]
    await ask_api(client, "DELETE", "/tokens/current", first)

    assert (await ask_api(client, "GET", "/notes", second))[0] == 200


async def test_the_chat_carries_messages_between_two_people() -> None:
    app = load("chat.py").create_app()
    ada, grace = app.test_client(), app.test_client()
    await ada.post("/login", form={"name": "Ada"})
    await grace.post("/login", form={"name": "Grace"})

    async with ada.websocket("/chat") as at_adas:
        assert await at_adas.receive() == "Ada is here."
        async with grace.websocket("/chat") as at_graces:
            assert [await at_adas.receive(), await at_graces.receive()] == ["Grace is here."] * 2
            await at_graces.send("Good morning")
            assert [await at_adas.receive(), await at_graces.receive()] == ["Grace: Good morning"] * 2
        assert await at_adas.receive() == "Grace has left."


async def test_the_chat_is_closed_to_strangers_and_to_other_sites() -> None:
    app = load("chat.py").create_app()
    stranger, ada = app.test_client(), app.test_client()
    await ada.post("/login", form={"name": "Ada"})

    for client, headers, status in [(stranger, {}, 401), (ada, {"Origin": "https://evil.example"}, 403)]:
        with pytest.raises(WebsocketResponseError) as refusal:
            async with client.websocket("/chat", headers=headers) as socket:
                await socket.receive()
        assert refusal.value.response.status_code == status


async def test_a_user_who_leaves_the_chat_is_out_of_the_room() -> None:
    app = load("chat.py").create_app()
    ada, grace = app.test_client(), app.test_client()
    await ada.post("/login", form={"name": "Ada"})
    await grace.post("/login", form={"name": "Grace"})

    async with ada.websocket("/chat") as at_adas:
        await at_adas.receive()
        async with grace.websocket("/chat") as at_graces:
            assert [await at_adas.receive(), await at_graces.receive()] == ["Grace is here."] * 2
            await grace.post("/logout")
            assert await at_adas.receive() == "Grace has left."


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Quart]:
    app = load("sqlalchemy_app.py").create_app(f"sqlite+aiosqlite:///{tmp_path}/people.sqlite3")
    async with app.test_app():
        yield app


async def registered(app: Quart, **more: str) -> Visitor:
    """Somebody with an account, signed in by its password."""
    await visitor(app).post("/register", {"name": "Ada", "password": PASSWORD})
    ada = visitor(app)
    await ada.post("/login", {"name": "Ada", "password": PASSWORD, **more})
    return ada


@pytest.mark.slow
async def test_the_app_with_its_own_models_registers_and_signs_in(site: Quart) -> None:
    ada = await registered(site)
    taken = await ada.post("/register", {"name": "Ada", "password": PASSWORD})
    refused = [
        await visitor(site).post("/login", {"name": name, "password": password})
        for name, password in [("Ada", "wrong"), ("Eve", PASSWORD)]
    ]

    assert re.search(r"\bAda\b.*\b2\b", (await ada.get("/")).text)
    assert [page.status for page in (taken, *refused)] == [422] * 3
    assert (await visitor(site).get("/")).location == "/login?next=%2F"


@pytest.mark.slow
async def test_what_it_changes_of_the_user_is_kept(site: Quart) -> None:
    ada = await registered(site)
    await ada.post("/name", {"name": "Ada Lovelace"})

    again = visitor(site)
    await again.post("/login", {"name": "Ada Lovelace", "password": PASSWORD})

    assert "Hello, Ada Lovelace." in (await ada.get("/")).text
    assert "Hello, Ada Lovelace." in (await again.get("/")).text


@pytest.mark.slow
async def test_its_cookies_are_worthless_after_a_logout(site: Quart) -> None:
    ada = await registered(site, remember="on")
    copies = ada.cookies
    assert await status_with(site, copies) == 200
    await ada.post("/logout", {})

    assert [await status_with(site, {name: value}) for name, value in copies.items()] == [302, 302]


async def status_with(app: Quart, cookies: dict[str, str]) -> int:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    return (await app.test_client(use_cookies=False).get("/", headers=headers)).status_code


@pytest.mark.slow
async def test_its_remember_cookie_is_replaced_and_a_copy_ends_the_login(
    site: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await registered(site, remember="on")
    copy = {"remember_token": ada.cookies["remember_token"]}
    ada.client.delete_cookie("localhost", "session")
    assert (await ada.get("/")).status == 200
    in_time = await status_with(site, copy)
    module = sys.modules["example_sqlalchemy_app"]
    monkeypatch.setattr(module, "GRACE", -module.GRACE)
    too_late = await status_with(site, copy)

    assert ada.cookies["remember_token"] != copy["remember_token"]
    assert (in_time, too_late) == (200, 302)
    assert (await ada.get("/")).status == 302


@pytest.mark.parametrize("moved", MOVED)
@pytest.mark.parametrize("version", ["before.py", "after.py"])
async def test_a_moved_app_does_the_same_before_and_after(moved: str, version: str) -> None:
    look = looking_at(load(f"moved_from_{moved}/{version}").app)
    cookies: dict[str, str] = {}
    seen = [
        await look("GET", "/", cookies),
        await look("GET", "/account", cookies),
        await look("POST", "/login", cookies, name="?", password="wrong"),
        await look("POST", "/login", cookies, **credentials(moved), remember="on"),
        await look("GET", "/account", cookies),
        await look("GET", "/", cookies),
        await look("POST", "/logout", cookies),
        await look("GET", "/account", cookies),
    ]

    statuses = [status for status, _ in seen]
    assert statuses == [200, 302, 200, 302, 200, 200, 302, 302]
    assert ["Hello" in text for _, text in seen] == [False] * 4 + [True, True, False, False]


async def test_the_app_that_moved_asks_for_the_password_again_before_and_after() -> None:
    for version in ("before.py", "after.py"):
        look = looking_at(load(f"moved_from_flask_login/{version}").app)
        cookies: dict[str, str] = {}
        await look("POST", "/login", cookies, **credentials("flask_login"), remember="on")
        fresh = await look("GET", "/account/delete", cookies)
        restored = {"remember_token": cookies["remember_token"]}
        stale = await look("GET", "/account/delete", dict(restored))

        assert (fresh[0], stale[0]) == (200, 302), version


async def test_sessions_from_before_the_move_stay_valid() -> None:
    cookies: dict[str, str] = {}
    before = looking_at(load("moved_from_flask_login/before.py").app)
    await before("POST", "/login", cookies, **credentials("flask_login"), remember="on")
    after = looking_at(load("moved_from_flask_login/after.py").app)

    for sent in (dict(cookies), {"remember_token": cookies["remember_token"]}, {"session": cookies["session"]}):
        assert [(await after("GET", "/account", sent))[0] for _ in range(2)] == [200, 200]


def credentials(moved: str) -> dict[str, str]:
    return {"name": {"flask_login": "ada", "quart_auth": "Ada"}[moved], "password": PASSWORD}


Look = Callable[..., Coroutine[Any, Any, tuple[int, str]]]
BROWSER = {"User-Agent": "a browser"}


def looking_at(app: Any) -> Look:
    """Return how to send a request to a Flask app or a Quart app; the cookies are kept in a dict."""

    async def look(method: str, path: str, cookies: dict[str, str], **form: str) -> tuple[int, str]:
        headers = BROWSER | {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        client = app.test_client(use_cookies=False)
        if isinstance(app, Quart):
            answer = await client.open(
                path, method=method, headers=headers, form=form or None, scope_base={"client": ("127.0.0.1", 50000)}
            )
            text = await answer.get_data(as_text=True)
        else:
            answer = client.open(path, method=method, headers=headers, data=form)
            text = answer.text
        for line in answer.headers.getlist("Set-Cookie"):
            (morsel,) = SimpleCookie(line).values()
            cookies[morsel.key] = morsel.value
            if not morsel.value:
                del cookies[morsel.key]
        return answer.status_code, text

    return look


# --- the pages in docs/ ---------------------------------------------------------------------------------------


def test_every_file_that_a_page_names_exists() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = re.findall(r"`((?:examples|tests|docs)/[\w/.]+)`", text)

    assert [name for name in named if not (ROOT / name).exists()] == []


def sources(moved: str) -> list[str]:
    return [(EXAMPLES / f"moved_from_{moved}" / name).read_text(encoding="utf-8") for name in ("before.py", "after.py")]


def page_about(moved: str) -> Path:
    return DOCS / f"migrating-from-{moved.replace('_', '-')}.md"


@pytest.mark.parametrize("moved", MOVED)
def test_the_diff_of_a_page_is_that_of_the_files(moved: str) -> None:
    before, after = [source.splitlines(keepends=True) for source in sources(moved)]
    diff = "".join(unified_diff(before, after, "before.py", "after.py", n=1))

    assert blocks(page_about(moved), "diff") == [diff]


def awaits(source: str) -> list[str]:
    return [ast.unparse(node.value) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Await)]


def test_the_awaits_of_the_move_from_flask_login_are_counted() -> None:
    before, after = [awaits(source) for source in sources("flask_login")]
    ours = [call for call in after if call.startswith(("login_user(", "logout_user(", "confirm_login("))]
    in_a_thread = [call for call in after if call.startswith(("asyncio.to_thread(", "is_right("))]
    page = " ".join(page_about("flask_login").read_text(encoding="utf-8").split())
    [sentence] = re.findall(r"\d+ `await`s:.*?\.", page)

    assert before == []
    assert [int(number) for number in re.findall(r"\d+", sentence)] == [
        *(len(after), len(ours), len(after) - len(ours + in_a_thread), len(in_a_thread))
    ]


def test_the_awaits_of_the_move_from_quart_auth_are_counted() -> None:
    before, after = [awaits(source) for source in sources("quart_auth")]
    page = page_about("quart_auth").read_text(encoding="utf-8")

    assert re.findall(r"(\d+) `await`s become (\d+)", page) == [(str(len(before)), str(len(after)))]


async def test_the_record_in_a_dict_makes_a_copied_cookie_worthless() -> None:
    names = await run(DOCS / "records.md")
    look = looking_at(names["app"])
    cookies: dict[str, str] = {}
    await look("POST", "/login", cookies, name="ada", remember="on")
    copied = [{name: value} for name, value in cookies.items()]
    assert len(copied) == 2
    assert await look("GET", "/me", {"session": cookies["session"]}) == (200, "ada")
    await look("POST", "/logout", cookies)

    assert [(await look("GET", "/me", copy))[0] for copy in copied] == [401, 401]
    assert names["records"].entries == {}


async def test_the_record_in_a_dict_finds_a_copied_remember_cookie_out() -> None:
    look = looking_at((await run(DOCS / "records.md"))["app"])
    cookies: dict[str, str] = {}
    await look("POST", "/login", cookies, name="ada", remember="on")
    ada, mallory = [{"remember_token": cookies["remember_token"]} for _ in range(2)]

    assert (await look("GET", "/me", ada))[0] == 200
    assert (await look("GET", "/me", mallory))[0] == 401
    assert (await look("GET", "/me", ada))[0] == 401


async def test_the_record_in_a_dict_follows_a_login_under_its_new_id() -> None:
    names = await run(DOCS / "records.md")
    look = looking_at(names["app"])
    cookies: dict[str, str] = {}
    await look("POST", "/login", cookies, name="ada", remember="on")
    old = dict(cookies)
    await look("POST", "/confirm", cookies)

    assert (await look("GET", "/me", cookies))[0] == 200
    assert (await look("GET", "/me", {"remember_token": cookies["remember_token"]}))[0] == 200
    assert [(await look("GET", "/me", {name: value}))[0] for name, value in old.items()] == [401, 401]
    assert len(names["records"].entries) == 1


async def test_the_record_in_a_dict_signs_out_everywhere() -> None:
    look = looking_at((await run(DOCS / "records.md"))["app"])
    here: dict[str, str] = {}
    there: dict[str, str] = {}
    someone_else: dict[str, str] = {}
    for cookies, name in [(here, "ada"), (there, "ada"), (someone_else, "grace")]:
        await look("POST", "/login", cookies, name=name)
    await look("POST", "/logout-everywhere", here)

    assert [(await look("GET", "/me", cookies))[0] for cookies in (here, there, someone_else)] == [401, 401, 200]


async def test_the_old_cookie_of_quart_auth_signs_in_once() -> None:
    names = await run(page_about("quart_auth"))
    app, look = names["app"], looking_at(names["app"])

    @app.get("/me")
    async def me() -> str:
        user = await names["login_manager"].current_user
        return str(user.get_id())

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    async with app.app_context():
        cookies = {"QUART_AUTH": names["old_cookies"].dump_token("ada")}
    first = await look("GET", "/me", cookies)
    names_after = set(cookies)
    second = await look("GET", "/me", cookies)
    await look("POST", "/logout", cookies)

    assert (first, second) == ((200, "ada"), (200, "ada"))
    assert names_after == {"session", "remember_token"}
    assert await look("GET", "/me", cookies) == (200, "None")
    assert await look("GET", "/me", {"QUART_AUTH": "broken"}) == (200, "None")


async def test_the_websocket_page_serves_its_websocket() -> None:
    names = await run(DOCS / "websockets.md")
    app = names["app"]
    client = app.test_client()
    async with client.session_transaction() as session:
        session["_user_id"] = "ada"

    async with client.websocket("/live") as socket:
        greeting = await socket.receive()
        await socket.send("Hi")
        answer = await socket.receive()

    assert (greeting, answer) == ("Hello, ada.", "You said: Hi")


# --- types ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_typical_uses_and_the_examples_pass_mypy(missing: Callable[[str], None], tmp_path: Path) -> None:
    if find_spec("mypy") is None:
        missing("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", *map(str, TYPED)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
