"""What every test of the application may ask for."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from quart import Quart

from quartlogin.webapp import create_app
from visitors import KEY, Visitor, with_cheap_hashes


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


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a quartlogin of their own configured."""
    for name in [name for name in os.environ if name.startswith("QUARTLOGIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def missing(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Skip loudly what this machine lacks; in CI that is a failure."""

    def skip_or_fail(what: str) -> None:
        if request.config.getoption("--require-everything"):
            pytest.fail(f"{what} is missing, and --require-everything was given.")
        pytest.skip(f"{what} is missing: what this test shows was NOT shown.")

    return skip_or_fail


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "people.sqlite3")


@pytest.fixture
async def app(database: str) -> AsyncIterator[Quart]:
    """The application on a database of its own, started."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY))
    async with app.test_app():
        yield app


@pytest.fixture
def new_visitor(app: Quart) -> Callable[[], Visitor]:
    return lambda: Visitor(app.test_client())


@pytest.fixture
def visitor(new_visitor: Callable[[], Visitor]) -> Visitor:
    return new_visitor()
