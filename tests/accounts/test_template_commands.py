"""`quartlogin templates`: copying a template into an app, and comparing the copy later."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from quart import Quart

from client import KEY, Visitor
from commands import error_of
from quartlogin.accounts import Accounts, find_resource
from quartlogin.accounts.command_line import templates
from quartlogin.webapp.cli import main

LOGIN = "accounts/passwords/login.html"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["templates", *arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "templates"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Templates that stand for those of a later release."""
    later = tmp_path / "package"
    for path in find_resource("templates").rglob("*.html"):
        target = later / path.relative_to(find_resource("templates"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(templates, "find_resource", lambda _: later)
    return later


async def test_a_copied_template_shows_the_same_page(folder: Path, tmp_path: Path) -> None:
    async def login_page() -> str:
        app = Quart("shop", root_path=str(tmp_path))
        app.config["SECRET_KEY"] = KEY
        Accounts(app, database=str(tmp_path / "app.sqlite3"))
        async with app.test_app() as running:
            page = await Visitor(running.test_client()).get("/login")
        assert page.status == 200
        return page.text.split('name="csrf_token"')[0] + page.text.split('name="csrf_token"')[1].split(">", 1)[1]

    before = await login_page()

    assert run("copy", "login", "page").exit_code == 0

    assert await login_page() == before
    (folder / LOGIN).write_text((folder / LOGIN).read_text().replace("<h1>Sign in</h1>", "<h1>Welcome</h1>"))
    assert "<h1>Welcome</h1>" in await login_page()


def test_list_names_every_template_of_the_accounts() -> None:
    root, listed = find_resource("templates"), run("list").stdout.split()

    paths = [str(path.relative_to(root)) for path in (root / "accounts").rglob("*.html")]
    assert sorted(listed[1::2]) == sorted(paths)
    assert len({*listed[::2]}) == len(paths)


def test_copy_keeps_a_file_that_is_there_unless_forced(folder: Path) -> None:
    run("copy", "login")
    (folder / LOGIN).write_text("mine")

    assert "--force" in error_of(run("copy", "logout", "login"))
    assert (folder / LOGIN).read_text() == "mine"
    assert not (folder / "accounts/logins").exists()

    assert run("copy", "login", "--force").exit_code == 0
    assert "mine" not in (folder / LOGIN).read_text()


def test_copy_of_an_unknown_template_writes_nothing(folder: Path) -> None:
    assert "'lgoin'" in error_of(run("copy", "logout", "lgoin"))
    assert not folder.exists()


def test_copy_where_a_folder_cannot_be_is_one_sentence(folder: Path) -> None:
    folder.write_text("a file")

    assert "templates" in error_of(run("copy", "login"))


def test_diff_says_that_the_package_changed_nothing_whatever_the_app_changed(folder: Path) -> None:
    run("copy", "login")
    (folder / LOGIN).write_text((folder / LOGIN).read_text() + "{# of the shop #}")

    assert "unchanged" in run("diff").stdout
    assert "@@" not in run("diff").stdout


def test_diff_shows_only_what_the_package_changed(folder: Path, package: Path) -> None:
    run("copy", "login")
    (folder / LOGIN).write_text((folder / LOGIN).read_text() + "{# of the shop #}")
    (package / LOGIN).write_text((package / LOGIN).read_text() + "{# of a release #}\n")

    shown = run("diff").stdout

    assert "+{# of a release #}" in shown
    assert "of the shop" not in shown


def test_diff_without_the_original_compares_with_the_copy(folder: Path, package: Path) -> None:
    run("copy", "login")
    (folder / LOGIN).write_text((folder / LOGIN).read_text() + "{# of the shop #}\n")
    (package / LOGIN).write_text((package / LOGIN).read_text() + "{# of a release #}\n")
    (folder / f"{LOGIN}.original").unlink()

    shown = run("diff").stdout

    assert "+{# of a release #}" in shown
    assert "-{# of the shop #}" in shown


def test_diff_does_not_trust_an_original_that_was_edited(folder: Path, package: Path) -> None:
    run("copy", "login")
    (folder / f"{LOGIN}.original").write_text("edited\n")
    (package / LOGIN).write_text((package / LOGIN).read_text() + "{# of a release #}\n")

    assert "-edited" not in run("diff").stdout


def test_diff_compares_a_template_without_a_stamp(folder: Path) -> None:
    (folder / LOGIN).parent.mkdir(parents=True)
    (folder / LOGIN).write_text("of the shop\n")

    assert "-of the shop" in run("diff").stdout


def test_diff_of_a_copy_that_is_not_text_is_one_sentence(folder: Path) -> None:
    (folder / LOGIN).parent.mkdir(parents=True)
    (folder / LOGIN).write_bytes(b"\xff")

    assert "login.html" in error_of(run("diff"))


def test_diff_without_copies_says_so() -> None:
    assert "no copies" in run("diff").stdout.lower()
