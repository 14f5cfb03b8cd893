"""The same app with quartlogin: existing sessions stay valid."""

import asyncio
import os
from dataclasses import dataclass

from quart import Quart, flash, redirect, render_template_string, request, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from quartlogin import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
    safe_next,
)

app = Quart(__name__)
app.secret_key = os.environ["SECRET_KEY"]
app.config["SESSION_PROTECTION"] = "strong"
login_manager = LoginManager(app, import_flask_login=True)
login_manager.login_view = "login"
login_manager.refresh_view = "reauthenticate"


@dataclass(eq=False)
class User(UserMixin):
    id: str
    password_hash: str


USERS = {"ada": User("ada", generate_password_hash("correct horse battery staple"))}

PAGE = """
{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
{% if current_user.is_authenticated %}<p>Hello, {{ current_user.id }}.</p>{% endif %}
{{ body|safe }}
"""
FORM = '<form method="post"><input name="name"><input name="password"><input name="remember"><button>OK</button></form>'


@login_manager.user_loader
async def load_user(user_id):
    return USERS.get(user_id)


async def is_right(user, password):
    return user is not None and await asyncio.to_thread(check_password_hash, user.password_hash, password)


@app.route("/")
async def home():
    return await render_template_string(PAGE, body="This page is public.")


@app.route("/login", methods=["GET", "POST"])
async def login():
    if request.method == "POST":
        form = await request.form
        user = USERS.get(form["name"])
        if await is_right(user, form["password"]):
            await login_user(user, remember="remember" in form)
            return redirect(safe_next(request.args.get("next")) or url_for("account"))
        await flash("Wrong name or password.")
    return await render_template_string(PAGE, body=FORM)


@app.route("/account")
@login_required
async def account():
    return await render_template_string(PAGE, body=f"Your id is {current_user.id}.")


@app.route("/account/delete")
@fresh_login_required
async def delete_account():
    return await render_template_string(PAGE, body="Are you sure?")


@app.route("/reauthenticate", methods=["GET", "POST"])
@login_required
async def reauthenticate():
    if request.method == "POST" and await is_right(current_user, (await request.form)["password"]):
        await confirm_login()
        return redirect(safe_next(request.args.get("next")) or url_for("account"))
    return await render_template_string(PAGE, body=FORM)


@app.route("/logout", methods=["POST"])
async def logout():
    await logout_user()
    return redirect(url_for("home"))
