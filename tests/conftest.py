"""What every test of the application may ask for."""

import json
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

import hypothesis
import pytest
from jinja2 import Environment
from quart import Quart

from amounts import THOROUGH
from client import KEY, Visitor, add_user, with_cheap_hashes
from compiled_templates import compile_once
from databases import run_sql
from quartlogin.accounts.database import batches, sqlite
from quartlogin.accounts.store import Store, store_at
from quartlogin.webapp import create_app
from servers import Postgres, postgres, postgres_binaries

# No test depends on the machine's speed or on chance: no example has a deadline, and the examples of a test are the
# same in every run. CI takes more of them, with `--hypothesis-profile=thorough`; `search` looks for new ones.
hypothesis.settings.register_profile("quick", deadline=None, derandomize=True, max_examples=THOROUGH // 5)
hypothesis.settings.register_profile("thorough", deadline=None, derandomize=True, max_examples=THOROUGH)
hypothesis.settings.register_profile("search", deadline=None, max_examples=THOROUGH)
hypothesis.settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-everything",
        action="store_true",
        help="Fail instead of skipping where a browser or a database server is missing. CI sets it.",
    )
    parser.addoption(
        "--screenshots",
        metavar="DIR",
        default="build/screenshots",
        help="Where the browser test puts its screenshots.",
    )


@pytest.fixture(scope="session", autouse=True)
def templates_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def pragmas_of_the_product() -> Iterator[Sequence[str]]:
    """Let commits in this process not wait for the disk, which is most of what they take: no test cuts the power.

    The fixture's value is what the product sets; a server that a test starts has it in any case.
    """
    of_product = sqlite._PRAGMAS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sqlite, "_PRAGMAS", [one.replace("synchronous = FULL", "synchronous = OFF") for one in of_product]
        )
        yield of_product


@pytest.fixture
def durable_commits(pragmas_of_the_product: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commits be on the disk when they end; ask for it before the store or the application."""
    monkeypatch.setattr(sqlite, "_PRAGMAS", pragmas_of_the_product)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a quartlogin of their own configured."""
    for name in [name for name in os.environ if name.startswith("QUARTLOGIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def missing(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Skip loudly what this machine lacks; in CI that is a failure."""

    return partial(skip_or_fail, request.config)


def skip_or_fail(config: pytest.Config, what: str) -> None:
    if config.getoption("--require-everything"):
        pytest.fail(f"{what} is missing, and --require-everything was given.")
    pytest.skip(f"{what} is missing: what this test shows was NOT shown.")


@pytest.fixture
def browser(missing: Callable[[str], None]) -> Iterator[Any]:
    """A real browser."""
    from chromium import chromium  # noqa: PLC0415 -- few tests need it, and importing Playwright takes its time

    with chromium(missing) as browser:
        yield browser


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    """The folder for a browser's screenshots."""
    folder = request.config.rootpath / Path(request.config.getoption("--screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """One PostgreSQL server for all tests: making one takes seconds."""
    binaries = postgres_binaries()
    if binaries is None:
        skip_or_fail(request.config, "A PostgreSQL server (initdb, pg_ctl)")
    assert binaries is not None
    folder = Path(mkdtemp())  # not tmp_path, whose parents are closed to the server's user
    try:
        with postgres(binaries, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database: a file, or on a PostgreSQL server for tests with `both_databases`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield str(tmp_path / "people.sqlite3")
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    name = f"people_{token_hex(8)}"
    run_sql(server.url, f"CREATE DATABASE {name}")
    yield server.url_of(name)
    run_sql(server.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def app(database: str) -> AsyncIterator[Quart]:
    """The application on a database of its own, started."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with app.test_app():
        yield app


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be moved on."""
    now = [float(int(time.time()))]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.fixture
def new_visitor(app: Quart) -> Callable[[], Visitor]:
    return lambda: Visitor(app.test_client())


@pytest.fixture
def visitor(new_visitor: Callable[[], Visitor]) -> Visitor:
    return new_visitor()


@pytest.fixture
async def alice(app: Quart) -> str:
    """The id of an account named Alice."""
    return (await add_user(app, "Alice")).id


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """The store on an empty database, without an application."""
    store = store_at(database)
    await store.database.open()
    yield store
    await store.database.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The lines of the audit log so far."""
    caplog.set_level(logging.INFO, "quartlogin.audit")
    return lambda: [json.loads(record.message) for record in caplog.records if record.name == "quartlogin.audit"]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove expired rows without a pause between two batches."""
    monkeypatch.setattr(batches, "PAUSE", 0)
