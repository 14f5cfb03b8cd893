"""Every Python block of every page in docs/ runs; `doc_pages.py` says how such a page is written."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import doc_pages

KEY = "a key for the blocks of pages, long enough"


@pytest.fixture(autouse=True)
def readers_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and a key, as whoever copies a block has one."""
    monkeypatch.setenv("SECRET_KEY", KEY)
    monkeypatch.setenv("QUARTLOGIN_SECRET_KEY", KEY)
    monkeypatch.chdir(tmp_path)


def marked(page: Path) -> Any:
    """Return a page as a case of a test: slow if it takes a process of its own."""
    in_own_process = doc_pages.needs_own_process(page) or doc_pages.has_to_fail(page)
    return pytest.param(page, id=page.name, marks=[pytest.mark.slow] if in_own_process else [])


@pytest.mark.parametrize("page", [*map(marked, doc_pages.PAGES)])
async def test_every_python_block_of_a_page_runs(page: Path, missing: Callable[[str], None]) -> None:
    lacking = doc_pages.missing_modules(page)
    if lacking:
        missing(", ".join(lacking))
    elif doc_pages.has_to_fail(page):
        with pytest.raises(AssertionError, match="Error"):
            run_in_own_process(page)
    elif doc_pages.needs_own_process(page):
        run_in_own_process(page)
    else:
        await doc_pages.run(page)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "The page leaves something running."


def run_in_own_process(page: Path) -> None:
    command = [sys.executable, doc_pages.__file__, str(page)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


async def test_blocks_share_their_names_and_may_await(page: Path) -> None:
    page.write_text("```python\nimport asyncio\nn = 1\n```\n\n```python\nn += await asyncio.sleep(0, 1)\n```\n")

    assert (await doc_pages.run(page))["n"] == 2


async def test_hidden_blocks_run_between_the_others(page: Path) -> None:
    page.write_text("<!-- python\nn = 1\n-->\n\n```python\nn += 1\n```\n\n<!-- python\nassert n == 3\n-->\n")

    with pytest.raises(AssertionError) as failure:
        await doc_pages.run(page)

    assert failure.traceback[-1].lineno == 9, "the page's own line, counted from 0"


def test_a_page_names_what_it_needs(page: Path) -> None:
    page.write_text("<!-- needs: quart, no_such_module -->\n<!-- process: its own -->\n")

    assert doc_pages.missing_modules(page) == ["no_such_module"]
    assert doc_pages.needs_own_process(page)


def test_a_page_names_the_versions_that_it_holds_for(page: Path) -> None:
    page.write_text("<!-- only with: quart<0.1 -->\n")
    other = page.with_name("other.md")
    other.write_text("<!-- only with: quart>=0.1 -->\n")

    assert [doc_pages.has_to_fail(page), doc_pages.has_to_fail(other)] == [True, False]


def test_a_page_in_a_process_of_its_own_fails_as_loudly(page: Path) -> None:
    page.write_text("```python\nraise SystemExit('on purpose')\n```\n")

    with pytest.raises(AssertionError, match="on purpose"):
        run_in_own_process(page)
