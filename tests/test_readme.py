"""The README runs, and the tables of the application's commands, pages and settings are those of the code."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from client import Visitor
from quartlogin.webapp.cli import main
from quartlogin.webapp.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "application-reference.md").read_text(encoding="utf-8")
COMMAND_ROWS = re.findall(r"^\| (`quartlogin [^|]*) \|", REFERENCE, re.MULTILINE)
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(source, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("source", PYTHON_BLOCKS, ids=range(len(PYTHON_BLOCKS)))
def test_every_python_block_runs(source: str) -> None:
    assert run(source)


async def test_the_app_of_the_readme_signs_in() -> None:
    visitor = Visitor(run(PYTHON_BLOCKS[0])["app"].test_client())

    turned_away = await visitor.get("/me")
    form = await visitor.get(str(turned_away.location))
    await visitor.post("/login", {"name": "ada"})
    greeted = await visitor.get("/me")

    assert turned_away.location == "/login?next=%2Fme"
    assert 'name="name"' in form.text
    assert greeted.text == "Hello, ada."


def test_the_table_of_settings_is_the_one_in_the_code() -> None:
    in_code = [
        f"| `{setting.name.upper()}` | {shown(setting.default)} | {setting.metadata['unit']} |"
        f" {setting.metadata['meaning']} |"
        for setting in fields(Settings)
    ]

    assert [line for line in REFERENCE.splitlines() if re.match(r"\| `[A-Z_]+` \|", line)] == in_code


def shown(default: object) -> str:
    return {"None": "none", "()": "`[]`", "True": "`true`"}.get(repr(default), f"`{default}`")


def test_the_table_of_commands_is_the_one_in_the_code() -> None:
    in_page = set(re.findall(r"`quartlogin ([a-z -]+?)(?: [A-Z].*?)?`", "".join(COMMAND_ROWS)))

    assert in_page == set(commands_of(main))


def commands_of(group: click.Group, prefix: str = "") -> list[str]:
    found, context = [], group.make_context("quartlogin", [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        is_group = isinstance(command, click.Group)
        found += commands_of(command, f"{prefix}{name} ") if is_group else [f"{prefix}{name}"]
    return found


def test_every_link_to_a_file_leads_to_one() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)

    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.requirement("6.3.4")
@pytest.mark.requirement("8.1.1")
def test_the_table_of_pages_is_the_one_in_the_code(app: Any) -> None:
    first_cells = re.findall(r"^\| (`/.*?) \|", REFERENCE, re.MULTILINE)
    in_page = {path for cell in first_cells for path in re.findall(r"`([^`]+)`", cell)}

    in_code = {rule.rule for rule in app.url_map.iter_rules()} - {"/static/accounts/<path:filename>", "/favicon.ico"}

    assert in_page == in_code
