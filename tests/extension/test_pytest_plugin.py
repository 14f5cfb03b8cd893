"""The section that pytest adds to a failed test in which a visitor was refused."""

import pytest

pytest_plugins = ["pytester"]

APP = """
import pytest
from quart import Quart
from quartlogin import LoginManager, UserMixin, login_required, login_user

class User(UserMixin):
    id = "1"

@pytest.fixture
def app():
    app = Quart("shop")
    app.secret_key = "a secret key for tests, thirty-two bytes"
    manager = LoginManager(app)
    manager.login_view = "login"
    manager.user_loader(load)

    @app.get("/login")
    async def login():
        return "Sign in"

    @app.get("/sign-in")
    async def sign_in():
        await login_user(User())
        return "in"

    @app.get("/orders")
    @login_required
    async def orders():
        return "orders"

    return app

async def load(user_id):
    return None
"""

TESTS = """
async def test_redirected(app):
    assert (await app.test_client().get("/orders")).status_code == 200

async def test_fails_for_another_reason(app):
    assert (await app.test_client().get("/login")).status_code == 404

async def test_passes(app):
    assert (await app.test_client().get("/orders")).status_code == 302

async def test_loader_knows_nobody(app):
    browser = app.test_client()
    await browser.get("/sign-in")
    assert (await browser.get("/orders?token=SECRET")).status_code == 200
"""


@pytest.fixture
def report(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makepyfile(conftest=APP, test_refused_visitors=TESTS)
    return pytester.runpytest_inprocess(
        *("-p", "no:quartlogin", "-p", "quartlogin.explaining.pytest_plugin", "-p", "no:cacheprovider"),
        *("-o", "asyncio_mode=auto"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
    )


def sections_of(report: pytest.RunResult) -> list[list[str]]:
    """Return the lines of each section of the plugin."""
    lines = report.outlines
    starts = [number for number, line in enumerate(lines) if "Why quartlogin refused" in line]
    return [lines[start + 1 : start + 4] for start in starts]


def test_a_failed_test_says_why_its_visitor_was_refused(report: pytest.RunResult) -> None:
    report.assert_outcomes(failed=3, passed=1)
    redirected, unknown = sections_of(report)
    assert redirected[0] == unknown[0] == "GET /orders: 302 to /login"
    assert redirected[1:] != unknown[1:]
    assert "loader" in unknown[1]
    assert all(section[2] for section in (redirected, unknown))
    assert "SECRET" not in "\n".join(line for section in sections_of(report) for line in section)
