"""What docs/alembic.md shows, with a real Alembic: a migration of the accounts' tables, and autogenerate."""

import re
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from quart import Quart

import doc_pages
from client import KEY, Visitor
from databases import both_databases, run_sql
from quartlogin.accounts import Accounts, DatabaseRefused
from servers import PATIENCE, SCRIPTS

#: Each starts a process of its own, or applies migrations.
pytestmark = pytest.mark.slow

PAGE = doc_pages.DOCS / "alembic.md"
_, MIGRATION, INCLUDE_NAME = doc_pages.blocks(PAGE, "py")
MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table

metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True))
"""


class Project:
    """A folder with an app's migrations."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        is_server = database.startswith("postgresql://")
        self.run("alembic", "init", *(["-t", "async"] if is_server else []), "migrations")
        scheme = "postgresql+asyncpg://" if is_server else "sqlite:///"
        url = scheme + database.removeprefix("postgresql://")
        self.edit("alembic.ini", r"^sqlalchemy\.url = .*$", f"sqlalchemy.url = {url}")
        (folder / "models.py").write_text(MODELS)
        self.edit(
            "migrations/env.py",
            r"^target_metadata = None$",
            f"from models import metadata as target_metadata\n\n{INCLUDE_NAME}",
        )
        self.edit(
            "migrations/env.py",
            r"target_metadata=target_metadata",
            "target_metadata=target_metadata, include_name=include_name",
        )

    def run(self, script: str, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [SCRIPTS / script, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def edit(self, file: str, pattern: str, text: str) -> None:
        path = self.folder / file
        edited, count = re.subn(pattern, lambda _: text, path.read_text(), flags=re.MULTILINE)
        assert count, path.read_text()
        path.write_text(edited)

    def add_accounts(self) -> None:
        """Do what the page says."""
        self.run("alembic", "revision", "-m", "Add the accounts", "--rev-id", "1")
        statements = self.run("quartlogin", "accounts", "sql")
        (self.folder / "migrations/versions/quartlogin.sql").write_text(statements)
        [migration] = (self.folder / "migrations/versions").glob("1_*.py")
        migration.write_text(f"{migration.read_text()}\n{MIGRATION}")
        self.run("alembic", "upgrade", "head")

    def app(self) -> Quart:
        app = Quart(__name__)
        app.secret_key = KEY
        Accounts(app, database=self.database, create_tables=False)
        return app


@pytest.fixture
def project(tmp_path: Path, database: str, missing: Callable[[str], None]) -> Project:
    if find_spec("alembic") is None:
        missing("Alembic")
    return Project(tmp_path, database)


@both_databases
async def test_a_migration_with_the_printed_statements_is_all_that_the_app_needs(project: Project) -> None:
    with pytest.raises(DatabaseRefused):
        await project.app().startup()

    project.add_accounts()
    if not project.database.startswith("postgresql://"):
        Path(project.database).chmod(0o600)

    async with project.app().test_app() as running:
        assert (await Visitor(running.test_client()).register()).status == 302

    project.run("alembic", "downgrade", "base")
    with pytest.raises(DatabaseRefused, match="quartlogin"):
        await project.app().startup()


@both_databases
@pytest.mark.slow
def test_autogenerate_leaves_the_tables_of_the_accounts_alone(project: Project) -> None:
    project.add_accounts()

    project.run("alembic", "revision", "--autogenerate", "-m", "Add orders", "--rev-id", "2")

    [migration] = (project.folder / "migrations/versions").glob("2_*.py")
    assert "create_table('orders'" in migration.read_text()
    assert "quartlogin_" not in migration.read_text()
    project.run("alembic", "upgrade", "head")
    project.run("alembic", "check")
    assert run_sql(project.database, "SELECT count(*) FROM quartlogin_schema") == [(1,)]


@pytest.mark.slow
def test_autogenerate_would_drop_the_tables_without_the_hook(project: Project) -> None:
    """The reason for the hook: once this fails, the page need not show it."""
    project.add_accounts()
    project.edit("migrations/env.py", r", include_name=include_name", "")

    project.run("alembic", "revision", "--autogenerate", "-m", "Add orders", "--rev-id", "2")

    [migration] = (project.folder / "migrations/versions").glob("2_*.py")
    assert "drop_table('quartlogin_accounts')" in migration.read_text()
