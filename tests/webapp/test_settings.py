"""Settings: where they come from, and which values stop the start."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from client import KEY
from quartlogin import webapp
from quartlogin.webapp import SettingsError, create_app
from quartlogin.webapp.settings import Settings, read_settings


def test_every_setting_has_a_default() -> None:
    settings = read_settings({}, {})

    assert settings.database == "quartlogin.sqlite3"
    assert settings.secret_key is None
    assert settings.password_min_length == 15
    assert settings.trusted_proxies == 0


def test_the_environment_is_read_with_a_prefix() -> None:
    environment = {
        "QUARTLOGIN_DATABASE": "people.sqlite3",
        "QUARTLOGIN_SECRET_KEY_FALLBACKS": f'["{KEY}"]',
        "QUARTLOGIN_REGISTRATION": "False",
        "QUARTLOGIN_TRUSTED_PROXIES": "2",
        "OTHER": "x",
    }

    settings = read_settings({}, environment)

    assert settings.database == "people.sqlite3"
    assert settings.secret_key_fallbacks == (KEY,)
    assert settings.registration is False
    assert settings.trusted_proxies == 2


def test_a_keyword_wins_over_the_environment() -> None:
    settings = read_settings({"DATABASE": "a.sqlite3"}, {"QUARTLOGIN_DATABASE": "b.sqlite3"})

    assert settings.database == "a.sqlite3"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"QUARTLOGIN_DATABSE": "x"}, r"QUARTLOGIN_DATABSE\b.* QUARTLOGIN_DATABASE\b"),
        ({"QUARTLOGIN_ZZZ": "x"}, r"QUARTLOGIN_ZZZ\b.* QUARTLOGIN_[A-Z]+"),
        ({"QUARTLOGIN_database": "x"}, "QUARTLOGIN_database"),
        ({"QUARTLOGIN_REGISTRATION": "maybe"}, "QUARTLOGIN_REGISTRATION .*true .*false.* 'maybe'"),
        ({"QUARTLOGIN_REGISTRATION": ""}, "QUARTLOGIN_REGISTRATION .*true .*false"),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "-1"}, "QUARTLOGIN_TRUSTED_PROXIES .*number.* '-1'"),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "１"}, "QUARTLOGIN_TRUSTED_PROXIES .*number"),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "9" * 5000}, "QUARTLOGIN_TRUSTED_PROXIES .*number"),
        ({"QUARTLOGIN_PASSWORD_MIN_LENGTH": "7"}, "PASSWORD_MIN_LENGTH .*8 to 1024"),
        ({"QUARTLOGIN_PASSWORD_MIN_LENGTH": "1025"}, "PASSWORD_MIN_LENGTH .*8 to 1024"),
        ({"QUARTLOGIN_SESSION_COOKIE_NAME": "two words"}, "SESSION_COOKIE_NAME .*1 to 64"),
        ({"QUARTLOGIN_REMEMBER_COOKIE_NAME": "__Host-mine"}, "REMEMBER_COOKIE_NAME .*1 to 64"),
        ({"QUARTLOGIN_DEVICE_COOKIE_NAME": ""}, "DEVICE_COOKIE_NAME .*1 to 64"),
        ({"QUARTLOGIN_DEVICE_COOKIE_NAME": "a" * 65}, "DEVICE_COOKIE_NAME .*1 to 64"),
        ({"QUARTLOGIN_SESSION_COOKIE_NAME": "quartlogin_browser"}, "SESSION_COOKIE_NAME, REMEMBER_COOKIE_NAME"),
        ({"QUARTLOGIN_COOKIE_PATH": "accounts"}, "COOKIE_PATH .* /.* 'accounts'"),
        ({"QUARTLOGIN_COOKIE_PATH": "/a; Domain=evil.example"}, "COOKIE_PATH .* /"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "old"}, "QUARTLOGIN_SECRET_KEY_FALLBACKS .*JSON list"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "[1]"}, "QUARTLOGIN_SECRET_KEY_FALLBACKS .*list"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": '["old"]'}, "SECRET_KEY_FALLBACKS .* 3 "),
        ({"QUARTLOGIN_SECRET_KEY": "short"}, "SECRET_KEY .* 5 .* 32"),
        ({"QUARTLOGIN_SECRET_KEY": ""}, "SECRET_KEY .* 0 "),
        ({"QUARTLOGIN_SECRET_KEY": "ab" * 20}, "SECRET_KEY .* 10 "),
        ({"QUARTLOGIN_DATABASE": ""}, "DATABASE .*path.* postgresql://"),
        ({"QUARTLOGIN_DATABASE": ":memory:"}, "DATABASE .*path.* postgresql://"),
        ({"QUARTLOGIN_SITE_NAME": "\udcff"}, "SITE_NAME.* UTF-8"),
        ({"QUARTLOGIN_SECRET_KEY": KEY + "\udcff"}, "secret key.* UTF-8"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "[" * 90_000}, "QUARTLOGIN_SECRET_KEY_FALLBACKS .*JSON list"),
        ({"QUARTLOGIN_CSP_REPORT_URL": "https://a.example; script-src *"}, "CSP_REPORT_URL .*URL"),
        ({"QUARTLOGIN_CSP_REPORT_URL": ""}, "CSP_REPORT_URL .*URL"),
        ({"QUARTLOGIN_SITE_NAME": ""}, "SITE_NAME .*1 to 64"),
    ],
    ids=str,
)
def test_an_impossible_environment_is_one_clear_sentence(environment: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refusal:
        read_settings({}, environment)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"DATABSE": "x"}, "DATABSE.* DATABASE"),
        ({"database": "x"}, "database.* DATABASE"),
        ({"TRUSTED_PROXIES": True}, "TRUSTED_PROXIES .*number.* bool"),
        ({"TRUSTED_PROXIES": "1"}, "TRUSTED_PROXIES .*number.* str"),
        ({"TRUSTED_PROXIES": -1}, "TRUSTED_PROXIES .*0 to 100"),
        ({"REGISTRATION": 1}, "REGISTRATION .*True .*False.* int"),
        ({"SECRET_KEY": b"x" * 40}, "SECRET_KEY .*string"),
        ({"SECRET_KEY_FALLBACKS": KEY}, "SECRET_KEY_FALLBACKS .*list"),
    ],
    ids=str,
)
def test_an_impossible_keyword_is_one_clear_sentence(keywords: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read_settings(keywords, {})


def test_a_secret_key_never_stands_in_the_message_about_it() -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings({"SECRET_KEY": "hunter2"}, {})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.requirement("13.3.1")
def test_the_application_refuses_to_start_without_a_secret_key() -> None:
    with pytest.raises(SettingsError, match="QUARTLOGIN_SECRET_KEY"):
        create_app()


def test_every_number_has_bounds_that_its_unit_names() -> None:
    numbers = [setting for setting in fields(Settings) if type(setting.default) is int]

    assert [setting.name for setting in numbers if "bounds" not in setting.metadata] == []
    assert [
        setting.name
        for setting in numbers
        if not setting.metadata["unit"].endswith(", {} to {}".format(*setting.metadata["bounds"]))
    ] == []


@pytest.mark.parametrize(
    ("name", "bounds"),
    [(each.name, each.metadata["bounds"]) for each in fields(Settings) if type(each.default) is int],
)
def test_a_number_beyond_its_bounds_stops_the_start(name: str, bounds: tuple[int, int]) -> None:
    lowest, highest = bounds

    assert getattr(read_settings({name.upper(): lowest}, {}), name) == lowest
    assert getattr(read_settings({name.upper(): highest}, {}), name) == highest
    for beyond in (lowest - 1, highest + 1, -7):
        with pytest.raises(SettingsError, match=name.upper()):
            read_settings({name.upper(): beyond}, {})


def test_an_unknown_setting_is_answered_with_few_names() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({}, {"QUARTLOGIN_ZZZ": "x"})

    assert 1 <= len(re.findall("QUARTLOGIN_(?!ZZZ)", str(caught.value))) <= 3


@pytest.mark.parametrize(
    "environment",
    [
        {"QUARTLOGIN_REGISTRATION": "x" * 10_000},
        {"QUARTLOGIN_TRUSTED_PROXIES": "x" * 10_000},
        {"QUARTLOGIN_COOKIE_PATH": "x" * 10_000},
        {"QUARTLOGIN_ALLOWED_HOSTS": f'["{"!" * 10_000}"]'},
        {f"QUARTLOGIN_{'X' * 10_000}": "x"},
    ],
)
def test_an_error_repeats_no_more_than_eighty_characters_of_a_value(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({}, environment)

    assert len(str(caught.value)) < 400


def test_every_setting_is_used() -> None:
    used = {
        node.attr
        for path in Path(webapp.__file__).parent.rglob("*.py")
        if path.name != "settings.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"chosen", "settings"}
    }

    assert {setting.name for setting in fields(Settings)} - used == set()
