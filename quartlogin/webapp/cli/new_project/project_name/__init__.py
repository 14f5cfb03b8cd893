"""The app: accounts, and a page of notes that belong to their users."""

import os
from collections.abc import AsyncGenerator

from quart import Quart
from quartlogin.accounts import Accounts

from .database import NoteStore
from .notes import blueprint, delete_notes


def create_app(database: str = "app.sqlite3") -> Quart:
    """Create the app.

    Args:
        database: The path of the SQLite file with the accounts and the notes.
    """
    app = Quart(__name__)
    app.secret_key = os.environ.get("SECRET_KEY")  # quartlogin serve creates one
    accounts = Accounts(
        app,
        database=database,
        site_name="Project name",
        home="notes.index",
    )
    accounts.after_deletion(delete_notes)
    app.register_blueprint(blueprint)

    @app.while_serving
    async def open_store() -> AsyncGenerator[None, None]:
        async with NoteStore.open(database) as app.extensions["notes"]:
            yield

    accounts.harden(app, max_body=64 * 1024)
    return app
