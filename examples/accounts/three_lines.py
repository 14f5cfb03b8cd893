"""An app with sign-in pages: three lines more than without.

Start it with `hypercorn examples.accounts.three_lines:app` and open http://127.0.0.1:8000.
"""

import os
import secrets

from markupsafe import escape
from quart import Quart

from quartlogin import current_user, login_required
from quartlogin.accounts import Accounts

app = Quart(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new one signs everybody out
accounts = Accounts(app, database="app.sqlite3", home="home")


@app.get("/")
async def home() -> str:
    """Greet everybody."""
    return '<p>Welcome. <a href="/notes">Your notes</a></p>'


@app.get("/notes")
@login_required
async def notes() -> str:
    """Greet who is signed in."""
    return f"<p>Your notes, {escape(current_user.username)}. <a href='/account'>Your account</a></p>"
