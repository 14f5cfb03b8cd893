"""One of the two apps."""

from quart import Quart, render_template_string

from quartlogin import login_required

from .members import add_accounts

PAGE = """
{% extends "accounts/page.html" %}
{% block title %}Home{% endblock %}
{% block content %}<h1>The wiki of {{ current_user.email }}</h1>{% endblock %}
"""


def create_app() -> Quart:
    """Create the wiki."""
    app = Quart(__name__)
    add_accounts(app, "Wiki")

    @app.get("/")
    @login_required
    async def home() -> str:
        return await render_template_string(PAGE)

    return app
