"""`quartlogin new`: the project that it writes, and what it refuses."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Browser, Page, expect
from quart import Request

from chromium import expect_path, follow, open_page
from client import KEY, PASSWORD, Visitor
from commands import error_of
from quartlogin.accounts import get_accounts
from quartlogin.accounts.testing import create_user, signed_in_client, use_cheap_hashes
from quartlogin.webapp.cli import main
from servers import PATIENCE, SCRIPTS, free_port, running

LONGEST = "a" * 40
#: As much as ruff allows in a line by default.
LINE_LENGTH = 88


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str) -> Result:
    return CliRunner().invoke(main, ["new", name])


def files_in(project: Path) -> list[str]:
    return [str(path.relative_to(project)) for path in sorted(project.rglob("*")) if path.is_file()]


def test_new_writes_a_project_with_the_name_in_each_spelling(folder: Path) -> None:
    done = run("my-notes")

    assert done.exit_code == 0, done.output
    assert files_in(folder / "my-notes") == [
        ".gitignore",
        "README.md",
        "my_notes/__init__.py",
        "my_notes/database.py",
        "my_notes/notes.py",
        "my_notes/static/style.css",
        "my_notes/templates/accounts/layout.html",
        "my_notes/templates/notes.html",
        "pyproject.toml",
        "tests/conftest.py",
        "tests/test_notes.py",
    ]
    assert tomllib.loads((folder / "my-notes/pyproject.toml").read_text())["project"]["name"] == "my-notes"
    assert 'site_name="My notes"' in (folder / "my-notes/my_notes/__init__.py").read_text()
    assert [path.name for path in folder.iterdir()] == ["my-notes"]


def test_no_placeholder_is_left_in_the_project(folder: Path) -> None:
    run("x-project_name")

    project = folder / "x-project_name"
    texts = [path.read_text() for path in project.rglob("*") if path.is_file()]

    assert [re.findall(r"(?<!x[-_ ])project[-_ ]name", text, re.IGNORECASE) for text in texts] == [[]] * 11
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == "x-project_name"


def test_the_longest_name_keeps_the_lines_short(folder: Path) -> None:
    run(LONGEST)

    code = list((folder / LONGEST).rglob("*.py"))
    assert len(code) == 5
    for path in code:
        compile(path.read_text(), path, "exec")
        assert [line for line in path.read_text().splitlines() if len(line) > LINE_LENGTH] == []


@pytest.mark.parametrize(
    "name",
    [
        "", "2do", "-notes", "notes-", "_notes", "my notes", "my.notes", "../notes", "/notes", "é", "notes\n", "a" * 41,
        "class", "None", "json", "JSON", "quart", "quartlogin", "aiosqlite", "tests", "winreg",
    ],
)  # fmt: skip
def test_a_name_that_no_module_can_have_is_refused(folder: Path, name: str) -> None:
    done = CliRunner().invoke(main, ["new", "--", name])

    error_of(done)
    assert list(folder.iterdir()) == []


def test_a_folder_with_a_file_is_refused_and_left_as_it_is(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")

    assert "empty" in error_of(run("notes"))
    assert files_in(folder) == ["notes/mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "notes").write_text("mine")

    assert "empty" in error_of(run("notes"))
    assert files_in(folder) == ["notes"]


def test_an_empty_folder_is_filled(folder: Path) -> None:
    (folder / "notes").mkdir()

    assert run("notes").exit_code == 0
    assert (folder / "notes" / "pyproject.toml").exists()


def test_nothing_half_written_is_left_when_the_disk_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def write_some(self: Path, *arguments: str) -> int:
        if self.name == "pyproject.toml":
            raise OSError(28, "No space left on device")
        return write(self, *arguments)

    monkeypatch.setattr(Path, "write_text", write_some)

    assert "no space left" in error_of(run("notes"))
    assert list(folder.iterdir()) == []


def test_files_that_tools_keep_beside_the_template_are_not_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = folder / "template"
    for name in ("pyproject.toml", "project_name/__pycache__/a.pyc", ".ruff_cache/.gitignore"):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_bytes(b"\xff" if name.endswith("pyc") else b"")
    monkeypatch.setattr(sys.modules["quartlogin.webapp.cli.new"], "_PROJECT", template)

    run("notes")

    assert files_in(folder / "notes") == ["pyproject.toml"]


def test_the_next_commands_are_those_of_this_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(SCRIPTS))
    short = run("notes").stdout
    monkeypatch.setenv("PATH", str(folder))
    long = run("memos").stdout

    assert re.findall(r"  (\S+) .*--app notes:", short) == ["quartlogin"]
    assert re.findall(r"  (\S+) .*--app memos:", long) == [str(SCRIPTS / "quartlogin")]


@pytest.mark.slow
def test_the_tests_of_the_project_pass(folder: Path) -> None:
    run("notes")

    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=folder / "notes",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_browser_registers_and_keeps_notes_in_the_project(folder: Path, browser: Browser, screenshots: Path) -> None:
    run("notes")
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--app", "notes:create_app", "--port", str(port)]
    with running(command, port, folder / "notes") as server:
        page = open_page(browser, server)
        page.goto("/")
        expect_path(page, "/login?next=%2F")
        follow(page.get_by_role("navigation").get_by_role("link", name="Create account"))
        enter(page, "Create account")
        page.get_by_label("New note").fill("Tea & cake\n<b>at four</b>")
        follow(page.get_by_role("button", name="Add note"))
        expect(page.locator(".note")).to_contain_text("<b>at four</b>")
        page.screenshot(path=screenshots / "new-project-1280.png", full_page=True)
        follow(page.get_by_role("button", name="Sign out"))
        expect_path(page, "/login?next=%2F")
        expect(page.locator("body")).not_to_contain_text("Tea")

        phone = open_page(browser, server, width=360, scheme="dark")
        phone.goto("/")
        enter(phone, "Sign in")
        expect(phone.locator(".note")).to_have_text(re.compile("^Tea & cake\n<b>at four</b>$"), use_inner_text=True)
        phone.get_by_label("New note").fill("a" * 2001)
        follow(phone.get_by_role("button", name="Add note"))
        expect(phone.get_by_label("New note")).to_have_value("a" * 2001)
        expect(phone.get_by_role("alert")).to_have_count(1)
        assert phone.evaluate("document.documentElement.scrollWidth") == 360
        phone.screenshot(path=screenshots / "new-project-360-dark.png", full_page=True)
        follow(phone.get_by_role("button", name="Delete"))
        expect(phone.get_by_role("main")).to_contain_text("You have no notes")
        assert page.complaints == []  # type: ignore[attr-defined]


def enter(page: Page, button: str) -> None:
    page.get_by_label("Username").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name=button))


@pytest.mark.parametrize("path", ["/", "/notes/{}/delete"])
async def test_toctou_a_login_that_ends_while_a_form_arrives_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    run("late-notes")
    monkeypatch.syspath_prepend(str(folder / "late-notes"))
    monkeypatch.setenv("SECRET_KEY", KEY)
    app = importlib.import_module("late_notes").create_app(str(folder / "late.sqlite3"))
    monkeypatch.delitem(sys.modules, "late_notes")
    use_cheap_hashes(app)
    async with app.test_app():
        user = await create_user(app, "ada")
        store, ada = app.extensions["notes"], Visitor(signed_in_client(app, user))
        await store.add(user.id, "the first")
        [note] = await store.of_user(user.id)
        token = (await ada.get("/")).token
        read = Request._load_form_data

        async def read_late(self: Request, *args: Any, **options: Any) -> Any:
            await get_accounts(app).end_logins(user.id)  # the guard has let the request through by now
            return await read(self, *args, **options)

        monkeypatch.setattr(Request, "_load_form_data", read_late)
        answer = await ada.post(path.format(note.id), {"csrf_token": token, "body": "the second"})

        assert answer.status in {302, 401}
        assert [kept.body for kept in await store.of_user(user.id)] == ["the first"]
