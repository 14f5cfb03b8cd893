"""Modules with an app of somebody's own, as the command line imports them from the current folder."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

#: An app with accounts, its own key and the accounts' own users.
THREE_LINES = """
from quart import Quart
from quartlogin.accounts import Accounts
from quartlogin.accounts.testing import use_cheap_hashes

app = Quart(__name__)
app.secret_key = "a key for tests, of more than 32 characters"
accounts = Accounts(app, database="app.sqlite3")
use_cheap_hashes(app)
"""

#: An app with users of its own, whose ids are numbers; it keeps them in a file from its start to its end.
OWN_USERS = """
import json
from pathlib import Path

from quart import Quart, current_app
from quartlogin import UserMixin
from quartlogin.accounts import Accounts, NameTaken
from quartlogin.accounts.testing import use_cheap_hashes

STORED = Path("people.json")


class Person(UserMixin):
    def __init__(self, number, address):
        self.id, self.address = number, address


def create_app():
    app = Quart(__name__)
    app.secret_key = "a key for tests, of more than 32 characters"
    accounts = Accounts(app, database="app.sqlite3")
    use_cheap_hashes(app)

    @app.before_serving
    async def load():
        app.people = json.loads(STORED.read_text()) if STORED.exists() else []

    @app.after_serving
    async def store():
        STORED.write_text(json.dumps(app.people))
        del app.people

    @accounts.users
    class People:
        async def by_id(self, user_id):
            number = int(user_id)
            return Person(number, current_app.people[number]) if number < len(current_app.people) else None

        async def by_name(self, name):
            people = current_app.people
            return Person(people.index(name), name) if name in people else None

        async def create(self, name, fields):
            if name in current_app.people:
                raise NameTaken
            current_app.people.append(name)
            return await self.by_name(name)

        def name_of(self, user):
            return user.address

    return app
"""

#: The same with a field of the app's own at registration; it notes the values.
WITH_FIELD = f"""
from quartlogin.accounts import Logins, Passwords, Registration
from wtforms import Form, IntegerField
from wtforms.validators import InputRequired


class SignUp(Form):
    age = IntegerField("Age", [InputRequired("Enter your age.")])


FEATURES = [Passwords(), Logins(), Registration(form=SignUp)]
{OWN_USERS}
""".replace('database="app.sqlite3"', 'database="app.sqlite3", features=FEATURES').replace(
    "    current_app.people.append(name)",
    '    Path("fields.json").write_text(json.dumps(fields))\n            current_app.people.append(name)',
)

WriteModule = Callable[[str], str]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Write a module into an empty folder, which is the current one; returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = []

    def write(text: str) -> str:
        names.append(f"shop_{token_hex(8)}")
        (tmp_path / f"{names[-1]}.py").write_text(text, encoding="utf-8")
        return names[-1]

    yield write
    for name in names:
        sys.modules.pop(name, None)
