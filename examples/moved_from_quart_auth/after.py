"""The same app with quartlogin."""

import asyncio
import os
from dataclasses import dataclass

from quart import Quart, redirect, render_template_string, request, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from quartlogin import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)

app = Quart(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@dataclass(eq=False)
class Account(UserMixin):
    id: str
    name: str
    password_hash: str


ACCOUNTS = {"1": Account("1", "Ada", generate_password_hash("correct horse battery staple"))}

PAGE = "{% if current_user.name %}<p>Hello, {{ current_user.name }}.</p>{% endif %}{{ body|safe }}"
FORM = '<form method="post"><input name="name"><input name="password"><input name="remember"><button>OK</button></form>'

login_manager = LoginManager(app)
login_manager.login_view = "login"


@login_manager.user_loader
async def load_user(user_id):
    return ACCOUNTS.get(user_id)


async def is_right(account, password):
    return await asyncio.to_thread(check_password_hash, account.password_hash, password)


@app.route("/")
async def home():
    return await render_template_string(PAGE, body="This page is public.")


@app.route("/login", methods=["GET", "POST"])
async def login():
    if request.method == "POST":
        form = await request.form
        for account in ACCOUNTS.values():
            if account.name == form["name"] and await is_right(account, form["password"]):
                await login_user(account, remember="remember" in form)
                return redirect(url_for("account"))
    return await render_template_string(PAGE, body=FORM)


@app.route("/account")
@login_required
async def account():
    return await render_template_string(PAGE, body=f"Your id is {current_user.id}.")


@app.route("/logout", methods=["POST"])
async def logout():
    await logout_user()
    return redirect(url_for("home"))
