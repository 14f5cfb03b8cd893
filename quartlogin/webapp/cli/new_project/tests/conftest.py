"""The app and its users, for tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart import Quart
from quartlogin.accounts.testing import use_cheap_hashes

from project_name import create_app


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    app = create_app(str(tmp_path / "test.sqlite3"))
    app.secret_key = "a key for tests, of more than 32 characters"
    use_cheap_hashes(app)
    async with app.test_app():
        yield app
