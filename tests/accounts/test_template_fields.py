"""The test helper that finds fields which an app's own templates lost."""

from pathlib import Path

import pytest
from quart import Quart
from wtforms import Form, StringField
from wtforms.validators import InputRequired

from client import KEY
from quartlogin.accounts import Accounts, ApiTokens, Deletion, Logins, Passwords, Registration, find_resource
from quartlogin.accounts.testing import check_templates, create_user, use_cheap_hashes
from slow import mostly_slow

#: For each template, a text in the line to take out, and the field that is missing then.
LOST = [
    ("passwords/login", "csrf_field", "csrf_token"),
    ("passwords/login", "field(form.username", "username"),
    ("passwords/login", "field(form.password", "password"),
    ("passwords/login", 'name="next"', "next"),
    ("passwords/reauthenticate", "csrf_field", "csrf_token"),
    ("passwords/reauthenticate", "field(form.password", "password"),
    ("passwords/reauthenticate", 'name="next"', "next"),
    ("passwords/password", "csrf_field", "csrf_token"),
    ("passwords/password", "field(form.current_password", "current_password"),
    ("passwords/password", "field(form.new_password", "new_password"),
    ("logins/logout", "csrf_field", "csrf_token"),
    ("registration/register", "csrf_field", "csrf_token"),
    ("registration/register", "field(form.username", "username"),
    ("registration/register", "field(form.password", "password"),
    ("deletion/delete", "csrf_field", "csrf_token"),
    ("deletion/delete", "field(form.password", "password"),
    ("api_tokens/panel", "field(panel.form.days", "days"),
    ("logins/panel", "csrf_field", "csrf_token"),
    ("page", "csrf_field", "csrf_token"),
    ("passwords/login", "<form", "no form for login"),
]


class SignUp(Form):
    city = StringField("City", [InputRequired()])
    nickname = StringField("Nickname")


def make_app(folder: Path) -> Quart:
    app = Quart("shop", root_path=str(folder))
    app.config["SECRET_KEY"] = KEY
    Accounts(
        app,
        database=str(folder / "app.sqlite3"),
        features=[Passwords(), Logins(), Registration(), ApiTokens(), Deletion()],
    )
    use_cheap_hashes(app)
    return app


async def check(app: Quart) -> None:
    async with app.test_app():
        await check_templates(app, await create_user(app))


async def test_the_packages_templates_have_every_field(tmp_path: Path) -> None:
    await check(make_app(tmp_path))


@pytest.mark.parametrize(("template", "taken", "field"), mostly_slow(LOST))
async def test_a_template_that_lost_a_field_is_found(tmp_path: Path, template: str, taken: str, field: str) -> None:
    path = tmp_path / "templates" / "accounts" / f"{template}.html"
    path.parent.mkdir(parents=True)
    lines = (find_resource("templates") / "accounts" / f"{template}.html").read_text().splitlines()
    assert any(taken in line for line in lines)
    path.write_text("\n".join(line for line in lines if taken not in line))

    with pytest.raises(AssertionError, match=field):
        await check(make_app(tmp_path))


async def test_fields_that_are_not_sent_count_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "templates" / "accounts" / "deletion" / "delete.html"
    path.parent.mkdir(parents=True)
    text = (find_resource("templates") / "accounts/deletion/delete.html").read_text()
    path.write_text(
        text.replace("{{ field(form.password", "<input name=password disabled>{# ").replace("autofocus=true) }}", "#}")
    )

    with pytest.raises(AssertionError, match="password"):
        await check(make_app(tmp_path))


def test_required_fields_of_the_apps_own_must_be_in_the_registration_form() -> None:
    (page,) = Registration(form=SignUp).form_pages()

    assert page.fields == ("username", "password", "city")


async def test_forms_of_the_app_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "templates" / "accounts" / "layout.html"
    path.parent.mkdir(parents=True)
    path.write_text("<form method=post action=/search></form>{% block content %}{% endblock %}")

    await check(make_app(tmp_path))
