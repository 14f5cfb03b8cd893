"""docs/tutorial/ is true: what it builds works, and each of its commands prints what the page shows."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from client import PASSWORD, WRONG
from tutorial import PAGES, Block, Reader, blocks, edit, matches

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def reader(missing: Callable[[str], None]) -> Iterator[Reader]:
    """A reader who has followed all pages."""
    if which("curl") is None:
        missing("curl")
    with TemporaryDirectory() as folder, Reader(Path(folder)) as reader:
        for block in blocks():
            reader.follow(block)
        yield reader


@pytest.fixture(scope="module")
def diary(reader: Reader) -> str:
    """The URL of the app that the tutorial has built."""
    reader.run("hypercorn app:app\n")
    return reader.serve().url


@pytest.fixture
def user(reader: Reader, request: pytest.FixtureRequest) -> str:
    """A user of the diary, for this test."""
    name = request.node.name
    reader.run(f"python add_user.py {name}", typed=PASSWORD)
    return name


class Visitor(httpx.Client):
    """A visitor of the diary, who sends the forms of its pages."""

    def send_form(self, url: str, **fields: str) -> httpx.Response:
        return self.post(url, data={"csrf_token": token_in(self.get(url).text), **fields})


def token_in(page: str) -> str:
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]


@pytest.fixture
def new_visitor(diary: str) -> Callable[[], Visitor]:
    return lambda: Visitor(base_url=diary)


# --- the finished app -------------------------------------------------------------------------------------------


@slow
def test_each_block_of_the_tutorial_does_what_the_page_says(reader: Reader) -> None:
    assert [block.at for block in blocks() if block.file and not (reader.folder / block.file).exists()] == []


@slow
def test_username_enumeration_a_wrong_password_is_answered_as_an_unknown_name(
    new_visitor: Callable[[], Visitor], user: str
) -> None:
    with new_visitor() as visitor:
        wrong = visitor.send_form("/login", name=user, password=WRONG)
        unknown = visitor.send_form("/login", name="no-such-user", password=WRONG)

    assert wrong.status_code == unknown.status_code == 422
    assert re.sub('value="[^"]+"', "", wrong.text) == re.sub('value="[^"]+"', "", unknown.text)


@slow
def test_timing_an_unknown_name_costs_a_hash_of_the_same_parameters(reader: Reader, user: str) -> None:
    reader.run(f"""python - <<'END'
import asyncio, passwords
from app import app

class Recording:
    def verify(self, stored, password):
        print(stored.rsplit("$", 2)[0])
        raise passwords.VerificationError

async def main():
    async with app.app_context():
        await passwords.check_password("{user}", "wrong")
        await passwords.check_password("no-such-user", "wrong")

passwords.hasher = Recording()
asyncio.run(main())
END
""")
    known, unknown = reader.output.splitlines()

    assert known == unknown
    assert known.startswith("$argon2id$")


@slow
def test_open_redirect_signing_in_leads_back_on_this_site_only(new_visitor: Callable[[], Visitor], user: str) -> None:
    with new_visitor() as visitor:
        turned_away = visitor.get("/diary").headers["location"]
        back = visitor.send_form(turned_away, name=user, password=PASSWORD)
        elsewhere = visitor.send_form("/login?next=//evil.example/", name=user, password=PASSWORD)

    assert turned_away == "/login?next=%2Fdiary"
    assert (back.headers["location"], elsewhere.headers["location"]) == ("/diary", "/")


@slow
def test_csrf_every_form_without_a_token_is_refused(new_visitor: Callable[[], Visitor], user: str) -> None:
    with new_visitor() as visitor:
        visitor.send_form("/login", name=user, password=PASSWORD)
        paths = ["/login", "/diary", "/account/delete", "/confirm", "/logout"]

        assert [visitor.post(path, data={"password": PASSWORD, "text": "x"}).status_code for path in paths] == [400] * 5
        assert visitor.get("/diary").status_code == 200


@slow
def test_signing_out_ends_the_session_and_the_remembered_login(new_visitor: Callable[[], Visitor], user: str) -> None:
    with new_visitor() as visitor:
        visitor.send_form("/login", name=user, password=PASSWORD, remember="on")
        remembered = set(visitor.cookies)
        visitor.post("/logout", data={"csrf_token": token_in(visitor.get("/").text)})

        assert remembered == {"session", "remember_token"}
        assert set(visitor.cookies) == {"session"}
        assert visitor.get("/diary").status_code == 302


@slow
def test_deleting_the_account_ends_its_logins_elsewhere(new_visitor: Callable[[], Visitor], user: str) -> None:
    with new_visitor() as here, new_visitor() as elsewhere:
        for visitor in (here, elsewhere):
            visitor.send_form("/login", name=user, password=PASSWORD, remember="on")
        before = elsewhere.get("/diary").status_code
        here.send_form("/account/delete")

        assert (before, elsewhere.get("/diary").status_code) == (200, 302)
        assert here.send_form("/login", name=user, password=PASSWORD).status_code == 422


@slow
def test_the_diary_in_a_browser_that_is_closed_and_opened_again(
    browser: Any, diary: str, user: str, tmp_path: Path
) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 -- only this test needs it

    from chromium import open_profile  # noqa: PLC0415

    with closing(open_profile(browser, tmp_path, diary)) as window:
        page = window.pages[0]
        page.goto("/diary")
        expect(page.get_by_role("status")).to_be_visible()
        page.get_by_label("Name").fill(user)
        page.get_by_label("Password").fill(WRONG)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Name").fill(user)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/diary")
        page.get_by_role("textbox").fill("<b>Dear diary</b>")
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_text("<b>Dear diary</b>")).to_be_visible()

    with closing(open_profile(browser, tmp_path, diary)) as window:
        page = window.pages[0]
        page.goto("/diary")
        expect(page.get_by_text("<b>Dear diary</b>")).to_be_visible()
        page.goto("/account/delete")
        page.wait_for_url("**/confirm?next=%2Faccount%2Fdelete")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/account/delete")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        page.goto("/diary")
        page.wait_for_url("**/login?next=%2Fdiary")


# --- the pages, without running them ------------------------------------------------------------------------------


def test_each_file_of_the_tutorial_is_complete_python(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks():
        if block.file is not None:
            reader.follow(block)
    sources = {path.name: path.read_text() for path in reader.folder.glob("*.py")}

    assert {"app.py", "database.py", "test_diary.py"} <= sources.keys()
    assert [name for name, source in sources.items() if not ast.parse(source).body] == []


def test_each_part_of_the_tutorial_leads_to_the_next() -> None:
    following = [re.findall(r"^Next: \[.*\]\((.*)\)", page.read_text(), re.MULTILINE) for page in PAGES]

    assert following == [*([page.name] for page in PAGES[1:]), []]


# --- the reader -----------------------------------------------------------------------------------------------------


def put(content: str, text: str, where: str | None = None, mark: str | None = None) -> str:
    return edit(content, Block("here", 1, "python", text, "a.py", where, mark, ""))


def test_a_block_goes_where_the_line_above_it_says() -> None:
    app = "import a\n\n\n@route\ndef f():\n    pass\n\n\nx = 1\n"

    assert put(app, "y = 1\n") == "y = 1\n"
    assert put(app, "import b\n\ny = 1\n", "at the end").startswith("import a\nimport b\n\n\n@route")
    assert put(app, "import b\n\ny = 1\n", "at the end").endswith("x = 1\n\n\ny = 1\n")
    assert put(app, "def f(): ...\n", "in place of", "f") == "import a\n\n\ndef f(): ...\n\n\nx = 1\n"
    assert put("<a>\n  <b>\n", "<c>\n", "after", "<b>") == "<a>\n  <b>\n<c>\n"


def test_an_output_is_compared_line_by_line() -> None:
    assert matches("HTTP/1.1 200 …\n…\nlast\n", "HTTP/1.1 200 \r\na: b\r\n\r\nlast")
    assert not matches("HTTP/1.1 200 …\n…\nlast\n", "HTTP/1.1 302 \r\na: b\r\n\r\nlast")
    assert not matches("first\n", "first\nsecond\n")


@pytest.mark.parametrize("script", ["false\necho after\n", "false | cat\n"])
def test_a_command_that_fails_fails_the_page(script: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="failed"):
        Reader(tmp_path).follow(Block("here", 1, "sh", script, None, None, None, ""))


def test_the_reader_keeps_the_folder_and_what_was_exported(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.run("mkdir inner && cd inner\nexport NAME=ada\n")
    reader.run('basename "$PWD"; echo $NAME\n')

    assert reader.output == "inner\nada\n"
