"""The pages in docs/ say what is true."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import tutorial
from event_kinds import KINDS, LOGGED_ONLY
from quartlogin.explaining.diagnosis import situations

DOCS = Path(__file__).parent.parent / "docs"


def script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


async def test_the_table_of_guards_is_what_a_run_prints() -> None:
    table = await script("make_guard_table").make_table()

    assert (DOCS / "guards.md").read_text(encoding="utf-8").endswith("\n\n" + table)


def test_the_tables_of_diagnoses_are_what_the_code_says() -> None:
    tables = script("make_diagnosis_table").make_tables()

    assert (DOCS / "why-not-signed-in.md").read_text(encoding="utf-8").endswith("\n\n" + tables)


def test_every_diagnosis_has_a_test_that_makes_its_situation() -> None:
    """Such a test fails if another situation is diagnosed."""
    tables = script("make_diagnosis_table")
    in_tables = {module: tables.situations_of(module) for module in tables.HEADINGS}
    named = [situation.name for found in in_tables.values() for situation in found.values()]

    assert sorted(named) == sorted({situation.name for situation in situations()})
    assert sorted(constant for found in in_tables.values() for constant in found) == sorted(tables.made_by())


def test_the_tables_of_steps_and_metrics_are_what_the_code_says() -> None:
    text = (DOCS / "observability.md").read_text(encoding="utf-8")
    made = script("make_steps_table")

    assert made.page(text) == text
    assert {*text.splitlines()} >= {*made.step_rows(), *made.metric_rows()}


def test_every_link_between_files_leads_to_one() -> None:
    links = [
        (page, target)
        for page in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
        for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]

    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_to_a_heading_leads_to_one() -> None:
    links = [
        (page, target, anchor)
        for page in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    ]

    assert links
    assert [
        (page.name, anchor)
        for page, target, anchor in links
        if anchor not in headings(page.parent / target if target else page)
    ] == []


def test_every_test_that_a_page_names_exists() -> None:
    """A name that ends in an ellipsis stands for all that begin so."""
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py")]
    tests = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]

    named = {
        (page.name, *found)
        for page in pages
        for found in re.findall(r"`(?:[\w/.]*::)?(test_\w+)(…?)`", page.read_text(encoding="utf-8"))
    }

    assert named
    assert [
        (page, name)
        for page, name, rest in sorted(named)
        if not any(test == name or (rest and test.startswith(name)) for test in tests)
    ] == []


def test_each_attack_that_contributing_names_is_in_the_name_of_a_test() -> None:
    page = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [words] = re.findall(r"has OWASP's word: (.*?)\sand others", page, re.DOTALL)
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py")]
    tests = [name for source in sources for name in re.findall(r"def (test_\w+)", source)]

    assert [word for word in re.findall(r"`(\w+)`", words) if not any(word in test for test in tests)] == []


def test_each_picture_is_on_a_page() -> None:
    pages = [page.read_text(encoding="utf-8") for page in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]]
    pictures = [path for path in DOCS.rglob("*") if path.suffix in {".png", ".svg"}]

    assert pictures
    assert [picture.name for picture in pictures if not any(picture.name in page for page in pages)] == []


def test_the_index_lists_each_page_once() -> None:
    """The pages in project/ show files of the root, which the index names instead."""
    listed = re.findall(r"^\| \[[^]]+\]\(([^)]+)\)", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "project"]
    in_root = [f"../{page.name}" for page in DOCS.parent.glob("*.md")]

    assert sorted(listed) == sorted({*pages, *in_root} - {"index.md"})


def test_every_module_that_a_page_names_exists() -> None:
    root = DOCS.parent
    folders = ("quartlogin", "tests", "benchmarks", "docs", "examples", "tools", ".ci")
    modules = [f"/{path.relative_to(root)}" for folder in folders for path in (root / folder).rglob("*.py")]
    modules += [f"/{block.file}" for block in tutorial.blocks()]

    named = {
        (page.name, name)
        for page in [*DOCS.rglob("*.md"), *root.glob("*.md")]
        for name in re.findall(r"`((?:[\w.-]+/)*\w+\.py)(?:`|::)", page.read_text(encoding="utf-8"))
    }

    assert [where for where in sorted(named) if not any(path.endswith(f"/{where[1]}") for path in modules)] == []


async def test_the_table_of_costs_is_what_a_run_prints() -> None:
    table = await script("make_cost_table").make_table()

    assert (DOCS / "application.md").read_text(encoding="utf-8").endswith("\n" + table)


@pytest.mark.slow
@pytest.mark.requirement("7.3.1", "7.3.2", "7.4.1", "7.4.2", "7.4.3", "V21", "V23")
async def test_the_table_of_what_ends_a_sign_in_is_what_a_run_prints() -> None:
    table = await script("make_ending_table").make_table()

    assert (DOCS / "what-ends-a-login.md").read_text(encoding="utf-8").endswith("\n" + table)


async def test_the_diagrams_of_requests_are_what_the_application_does() -> None:
    drawn = await script("make_flow_diagrams").make_diagrams()

    assert {path.name: path.read_text("utf-8") for path in (DOCS / "diagrams").glob("flow-*.svg")} == drawn


@pytest.mark.slow
async def test_the_diagrams_of_the_tutorial_are_what_its_app_does() -> None:
    drawn = await script("make_tutorial_diagrams").make_diagrams()

    assert {path.name: path.read_text("utf-8") for path in (DOCS / "diagrams").glob("tutorial-*.svg")} == drawn


@pytest.mark.requirement("16.1.1")
def test_the_table_of_events_is_the_one_in_the_code() -> None:
    in_page = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|$", (DOCS / "application.md").read_text("utf-8"), re.MULTILINE)

    assert dict(in_page) == KINDS | LOGGED_ONLY | {
        "account_deleted": "(in the log only: the account is gone)",
        "rate_limited": f"{KINDS['rate_limited']} (in the log only)",
        "all_logins_revoked": f"{KINDS['all_logins_revoked']} (in the log only)",
        "login_context_changed": f"{KINDS['login_context_changed']} (in the log only)",
    }


def test_the_page_about_the_command_line_is_what_its_help_says() -> None:
    assert (DOCS / "command-line.md").read_text(encoding="utf-8") == script("make_command_page").page()
