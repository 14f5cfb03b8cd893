"""Invalid settings are rejected when the app is set up, with one sentence."""

import warnings
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart_auth import QuartAuth
from users import ADA

from quartlogin import ConfigurationError, LoginManager, login_user

REFUSED = [
    ("REMEMBER_COOKIE_DURATION", timedelta(0)),
    ("REMEMBER_COOKIE_DURATION", timedelta(days=-1)),
    ("REMEMBER_COOKIE_DURATION", timedelta(milliseconds=999)),
    ("REMEMBER_COOKIE_DURATION", timedelta(days=36526)),
    ("REMEMBER_COOKIE_DURATION", timedelta.max),
    ("REMEMBER_COOKIE_DURATION", 0),
    ("REMEMBER_COOKIE_DURATION", -3600),
    ("REMEMBER_COOKIE_DURATION", 10**12),
    ("REMEMBER_COOKIE_DURATION", "3600"),
    ("REMEMBER_COOKIE_DURATION", 3600.0),
    ("REMEMBER_COOKIE_DURATION", True),
    ("REMEMBER_COOKIE_DURATION", None),
    ("REMEMBER_COOKIE_NAME", ""),
    ("REMEMBER_COOKIE_NAME", "two words"),
    ("REMEMBER_COOKIE_NAME", "a;b"),
    ("REMEMBER_COOKIE_NAME", "a=b"),
    ("REMEMBER_COOKIE_NAME", None),
    ("REMEMBER_COOKIE_PATH", "members"),
    ("REMEMBER_COOKIE_PATH", "/a; Domain=evil.example"),
    ("REMEMBER_COOKIE_PATH", "/a\r\nSet-Cookie: b=c"),
    ("REMEMBER_COOKIE_DOMAIN", "a; Path=/x"),
    ("REMEMBER_COOKIE_DOMAIN", 1),
    ("REMEMBER_COOKIE_SAMESITE", "lux"),
    ("REMEMBER_COOKIE_SAMESITE", True),
]
TAKEN = [
    ("REMEMBER_COOKIE_DURATION", timedelta(seconds=1)),
    ("REMEMBER_COOKIE_DURATION", timedelta(days=36525)),
    ("REMEMBER_COOKIE_DURATION", 3600),
    ("REMEMBER_COOKIE_NAME", "__Host-remember.me"),
    ("REMEMBER_COOKIE_PATH", "/members/area"),
    ("REMEMBER_COOKIE_DOMAIN", ".example.org"),
    ("REMEMBER_COOKIE_DOMAIN", None),
    ("REMEMBER_COOKIE_DOMAIN", ""),
    ("REMEMBER_COOKIE_SAMESITE", None),
    ("REMEMBER_COOKIE_SAMESITE", "None"),
    ("REMEMBER_COOKIE_SAMESITE", "strict"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_that_cannot_be_is_refused_at_init_app(bare_app: Quart, name: str, value: Any) -> None:
    bare_app.config[name] = value

    with pytest.raises(ConfigurationError, match=rf"\A{name} .+\.\Z") as refusal:
        LoginManager(bare_app)

    assert "\n" not in str(refusal.value)
    assert "quartlogin" not in bare_app.extensions


@pytest.mark.parametrize(("name", "value"), REFUSED)
async def test_a_value_that_cannot_be_and_came_later_is_refused_when_it_is_used(
    app: Quart, caplog: pytest.LogCaptureFixture, name: str, value: Any
) -> None:
    @app.get("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    app.config[name] = value
    response = await app.test_client().get("/login")

    assert response.status_code == 500
    assert f"ConfigurationError: {name} " in caplog.text


@pytest.mark.parametrize(("name", "value"), TAKEN)
async def test_a_value_that_can_be_is_taken(app: Quart, name: str, value: Any) -> None:
    again = Quart("again")
    again.config[name] = value
    LoginManager(again)

    @app.get("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    app.config[name] = value

    assert (await app.test_client().get("/login", scheme="https")).status_code == 200


# --- settings of quart-auth ----------------------------------------------------------------------------------------


def test_settings_of_quart_auth_that_nothing_reads_any_more_are_warned_of(bare_app: Quart) -> None:
    bare_app.config.update(QUART_AUTH_COOKIE_SECURE=True, QUART_AUTH_DURATION=60, QUART_AUTH_BASIC_USERNAME="ada")

    with pytest.warns(UserWarning, match=r"\AQUART_AUTH_COOKIE_SECURE, QUART_AUTH_DURATION\b") as caught:
        LoginManager(bare_app)

    assert [warning.filename for warning in caught] == [__file__]


def test_settings_of_a_quart_auth_that_is_there_are_not_warned_of(bare_app: Quart) -> None:
    bare_app.config["QUART_AUTH_COOKIE_SECURE"] = True
    QuartAuth(bare_app, singleton=False)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LoginManager(bare_app)
