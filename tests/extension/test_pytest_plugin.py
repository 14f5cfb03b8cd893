"""The section that pytest adds to a failed test in which a visitor was refused."""

import pytest

from quartlogin.explaining import pytest_plugin

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


RELEASED = """
import gc
import weakref

apps = []

async def test_refused(app):
    apps.append(weakref.ref(app))
    await app.test_client().get("/orders")

def test_later():
    gc.collect()
    assert apps[0]() is None
"""

OWN_LOOP = """

from _pytest.runner import runtestprotocol

def pytest_runtestloop(session):
    for item in session.items:
        runtestprotocol(item, nextitem=None)
    return True
"""


def run(pytester: pytest.Pytester, tests: str, added: str = "") -> pytest.RunResult:
    pytester.makepyfile(conftest=APP + added, test_refused_visitors=tests)
    return pytester.runpytest_inprocess(
        *("-p", "no:quartlogin", "-p", "quartlogin.explaining.pytest_plugin", "-p", "no:cacheprovider"),
        *("-o", "asyncio_mode=auto"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
    )


@pytest.fixture
def report(pytester: pytest.Pytester) -> pytest.RunResult:
    return run(pytester, TESTS)


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


def test_the_apps_of_a_test_are_released_when_it_is_over(pytester: pytest.Pytester) -> None:
    run(pytester, RELEASED).assert_outcomes(passed=2)


def test_a_runner_without_the_hook_of_the_protocol_reports_without_a_section(pytester: pytest.Pytester) -> None:
    report = run(pytester, TESTS, OWN_LOOP)

    report.assert_outcomes(failed=3, passed=1)
    assert sections_of(report) == []


def test_an_explanation_that_fails_leaves_the_report_as_it_is(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pytest_plugin, "diagnose", fail)
    report = run(pytester, TESTS)

    report.assert_outcomes(failed=3, passed=1)
    assert all("ZeroDivisionError" in section[0] for section in sections_of(report))
    assert len(sections_of(report)) == 2
