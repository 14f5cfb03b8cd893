"""A small app with quart-auth."""

import asyncio
import os
from dataclasses import dataclass

from quart import Quart, redirect, render_template_string, request, url_for
from quart_auth import (
    AuthUser,
    QuartAuth,
    Unauthorized,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from werkzeug.security import check_password_hash, generate_password_hash

app = Quart(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@dataclass
class Account:
    name: str
    password_hash: str


ACCOUNTS = {"1": Account("Ada", generate_password_hash("correct horse battery staple"))}

PAGE = "{% if name %}<p>Hello, {{ name }}.</p>{% endif %}{{ body|safe }}"
FORM = '<form method="post"><input name="name"><input name="password"><input name="remember"><button>OK</button></form>'


class User(AuthUser):
    def __init__(self, auth_id):
        super().__init__(auth_id)
        self._account = None

    async def account(self):
        if self._account is None:
            self._account = ACCOUNTS.get(self.auth_id)
        return self._account


auth_manager = QuartAuth(app, user_class=User, cookie_secure=False)


async def is_right(account, password):
    return await asyncio.to_thread(check_password_hash, account.password_hash, password)


@app.errorhandler(Unauthorized)
async def send_to_login(_error):
    return redirect(url_for("login"))


@app.route("/")
async def home():
    name = (await current_user.account()).name if await current_user.is_authenticated else None
    return await render_template_string(PAGE, name=name, body="This page is public.")


@app.route("/login", methods=["GET", "POST"])
async def login():
    if request.method == "POST":
        form = await request.form
        for auth_id, account in ACCOUNTS.items():
            if account.name == form["name"] and await is_right(account, form["password"]):
                login_user(User(auth_id), remember="remember" in form)
                return redirect(url_for("account"))
    return await render_template_string(PAGE, body=FORM)


@app.route("/account")
@login_required
async def account():
    name = (await current_user.account()).name
    return await render_template_string(PAGE, name=name, body=f"Your id is {current_user.auth_id}.")


@app.route("/logout", methods=["POST"])
async def logout():
    logout_user()
    return redirect(url_for("home"))
