"""A forgotten `await login_user(...)`: the request fails, in tests and in production."""

import asyncio
import functools
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, create_autospec, patch

import pytest
from quart import Quart, redirect
from users import ADA, SignIn

from quartlogin import ConfigurationError, confirm_login, login_required, login_user, logout_user

CALLS: list[Callable[[], Any]] = [lambda: login_user(ADA), logout_user, confirm_login]
EVERY_CALL = pytest.mark.parametrize("call", CALLS, ids=["login_user", "logout_user", "confirm_login"])
MODES = pytest.mark.parametrize("mode", ["TESTING", "DEBUG"])


def forgetting(app: Quart, call: Callable[[], Any], kind: str = "async def") -> None:
    """Add a view at `/` that forgets to await."""

    async def view() -> Any:
        call()
        return redirect("/elsewhere")

    def view_in_thread() -> Any:
        call()
        return "done"

    app.add_url_rule("/", view_func=view if kind == "async def" else view_in_thread, methods=["GET", "POST"])


async def fault_of(app: Quart) -> str:
    """What a test is told of a fault: the text of a 500, or on Quart 0.21 and with TESTING the error itself."""
    try:
        response = await app.test_client().post("/")
    except ConfigurationError as error:
        return str(error)
    assert response.status_code == 500
    return await response.get_data(as_text=True)


@EVERY_CALL
@MODES
@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_a_test_of_a_view_that_forgets_to_await_sees_what_to_write(
    app: Quart, call: Any, mode: str, kind: str
) -> None:
    app.config[mode] = True
    forgetting(app, call, kind)

    text = await fault_of(app)

    assert "test_unawaited.py, line" in text
    assert "`await " in text


@EVERY_CALL
async def test_in_production_the_answer_is_500_and_the_log_says_what_to_write(
    app: Quart, call: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The user would be told to be signed out, and would not be."""
    forgetting(app, call)

    response = await app.test_client().post("/")

    assert response.status_code == 500
    assert "`await " in caplog.text
    assert "Set-Cookie" not in response.headers


async def test_a_login_without_await_does_not_sign_in(app: Quart) -> None:
    @app.post("/")
    async def login() -> str:
        if login_user(ADA):  # type: ignore[truthy-bool]
            return "Welcome."
        return "No."

    response = await app.test_client().post("/")

    assert response.status_code == 500


@pytest.mark.parametrize(
    "await_it",
    [
        lambda coroutine: coroutine,
        asyncio.ensure_future,
        lambda coroutine: asyncio.wait_for(coroutine, 60),
        asyncio.gather,
        asyncio.create_task,
    ],
    ids=["await", "ensure_future", "wait_for", "gather", "create_task"],
)
async def test_every_way_to_await_signs_in(app: Quart, await_it: Any) -> None:
    app.testing = True

    @app.post("/")
    async def login() -> str:
        later = login_user(ADA)
        await await_it(later)
        return "in"

    @app.get("/me")
    @login_required
    async def me() -> str:
        return "me"

    client = app.test_client()
    await client.post("/")

    assert (await client.get("/me")).status_code == 200


async def test_a_call_that_fails_or_is_cancelled_is_no_forgotten_one(
    app: Quart,
) -> None:
    app.testing = True

    @app.post("/")
    async def login() -> str:
        with pytest.raises(TypeError):
            await login_user(ADA, duration=1)  # type: ignore[arg-type]
        task = asyncio.create_task(logout_user())
        task.cancel()
        await asyncio.wait([task])
        return "done"

    response = await app.test_client().post("/")

    assert response.status_code == 200


async def test_a_request_that_forgets_does_not_trouble_the_next(app: Quart, sign_in: SignIn) -> None:
    forgetting(app, logout_user)
    client = await sign_in(app)

    @app.get("/fine")
    async def fine() -> str:
        return ""

    first, second = await client.get("/"), await client.get("/fine")

    assert (first.status_code, second.status_code) == (500, 200)


async def test_outside_of_a_request_python_warns_as_always() -> None:
    with pytest.warns(RuntimeWarning, match="never awaited"):
        login_user(ADA)  # type: ignore[unused-coroutine]


@pytest.mark.parametrize("function", [login_user, logout_user, confirm_login])
def test_they_are_coroutine_functions_for_every_check(function: Any) -> None:
    assert inspect.iscoroutinefunction(function)
    assert inspect.iscoroutinefunction(functools.partial(function))
    assert isinstance(create_autospec(function), AsyncMock)
    assert function.__module__ == "quartlogin.login"
    assert function.__doc__
    assert inspect.signature(function) == inspect.signature(inspect.unwrap(function))


async def test_a_patch_of_one_is_awaited_too() -> None:
    with patch("quartlogin.logout_user") as fake:
        assert isinstance(fake, AsyncMock)


UNITTEST = """
import unittest

from quart import Quart

from quartlogin import LoginManager, UserMixin, {names}


class User(UserMixin):
    id = "1"


app = Quart("site")
app.secret_key = "a key for a test of a test"
login_manager = LoginManager(app)


@login_manager.user_loader
async def load(user_id):
    return User()


@app.post("/")
async def view():
    {line}
    return "done"


class Test(unittest.IsolatedAsyncioTestCase):
    async def test_the_view(self):
        response = await app.test_client().post("/")
        self.assertEqual(response.status_code, 200)
"""


@pytest.mark.slow
@pytest.mark.parametrize("awaited", [True, False], ids=["awaited", "forgotten"])
@pytest.mark.parametrize("call", ["login_user(User())", "logout_user()", "confirm_login()"])
def test_unittest_fails_too(tmp_path: Path, call: str, awaited: bool) -> None:
    """The app is not even told that it is tested: `app.testing` is false."""
    line = f"await {call}" if awaited else call
    (tmp_path / "test_app.py").write_text(UNITTEST.format(names=call.partition("(")[0], line=line))

    ended = subprocess.run(
        [sys.executable, "-m", "unittest"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )

    assert (ended.returncode == 0) is awaited
    assert ("`await " in ended.stderr) is not awaited
