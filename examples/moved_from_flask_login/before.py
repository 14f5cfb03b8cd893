"""A small app with Flask-Login."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, flash, redirect, render_template_string, request, url_for
from flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
app.config["SESSION_PROTECTION"] = "strong"
login_manager = LoginManager(app)
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
def load_user(user_id):
    return USERS.get(user_id)


def is_right(user, password):
    return user is not None and check_password_hash(user.password_hash, password)


def safe_next(target):
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


@app.route("/")
def home():
    return render_template_string(PAGE, body="This page is public.")


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        user = USERS.get(request.form["name"])
        if is_right(user, request.form["password"]):
            login_user(user, remember="remember" in request.form)
            return redirect(safe_next(request.args.get("next")) or url_for("account"))
        flash("Wrong name or password.")
    return render_template_string(PAGE, body=FORM)


@app.route("/account")
@login_required
def account():
    return render_template_string(PAGE, body=f"Your id is {current_user.id}.")


@app.route("/account/delete")
@fresh_login_required
def delete_account():
    return render_template_string(PAGE, body="Are you sure?")


@app.route("/reauthenticate", methods=["GET", "POST"])
@login_required
def reauthenticate():
    if request.method == "POST" and is_right(current_user, request.form["password"]):
        confirm_login()
        return redirect(safe_next(request.args.get("next")) or url_for("account"))
    return render_template_string(PAGE, body=FORM)


@app.route("/logout", methods=["POST"])
def logout():
    logout_user()
    return redirect(url_for("home"))
