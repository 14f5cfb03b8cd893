"""The settings: where they come from, and what stops the start."""

import pytest

from quartlogin.webapp import SettingsError, create_app
from quartlogin.webapp.settings import read_settings
from visitors import KEY


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
    ("environment", "sentence"),
    [
        ({"QUARTLOGIN_DATABSE": "x"}, "There is no setting QUARTLOGIN_DATABSE: did you mean QUARTLOGIN_DATABASE?"),
        (
            {"QUARTLOGIN_ZZZ": "x"},
            "There is no setting QUARTLOGIN_ZZZ: the settings are QUARTLOGIN_DATABASE, ",
        ),
        ({"QUARTLOGIN_database": "x"}, "There is no setting QUARTLOGIN_database"),
        ({"QUARTLOGIN_REGISTRATION": "maybe"}, "QUARTLOGIN_REGISTRATION has to be true or false, not 'maybe'."),
        ({"QUARTLOGIN_REGISTRATION": ""}, "QUARTLOGIN_REGISTRATION has to be true or false"),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "-1"}, "QUARTLOGIN_TRUSTED_PROXIES has to be a whole number, not '-1'."),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "１"}, "QUARTLOGIN_TRUSTED_PROXIES has to be a whole number"),
        ({"QUARTLOGIN_TRUSTED_PROXIES": "9" * 5000}, "QUARTLOGIN_TRUSTED_PROXIES has to be a whole number"),
        ({"QUARTLOGIN_PASSWORD_MIN_LENGTH": "7"}, "PASSWORD_MIN_LENGTH has to be a number from 8 to 1024."),
        ({"QUARTLOGIN_PASSWORD_MIN_LENGTH": "1025"}, "PASSWORD_MIN_LENGTH has to be a number from 8 to 1024."),
        ({"QUARTLOGIN_SESSION_COOKIE_NAME": "two words"}, "SESSION_COOKIE_NAME has to be 1 to 64 letters, digits"),
        ({"QUARTLOGIN_REMEMBER_COOKIE_NAME": "__Host-mine"}, "REMEMBER_COOKIE_NAME has to be 1 to 64 letters, digits"),
        ({"QUARTLOGIN_DEVICE_COOKIE_NAME": ""}, "DEVICE_COOKIE_NAME has to be 1 to 64 letters, digits"),
        ({"QUARTLOGIN_DEVICE_COOKIE_NAME": "a" * 65}, "DEVICE_COOKIE_NAME has to be 1 to 64 letters, digits"),
        ({"QUARTLOGIN_SESSION_COOKIE_NAME": "quartlogin_browser"}, "SESSION_COOKIE_NAME, REMEMBER_COOKIE_NAME and"),
        ({"QUARTLOGIN_COOKIE_PATH": "accounts"}, "COOKIE_PATH has to be a path such as /accounts, not 'accounts'."),
        ({"QUARTLOGIN_COOKIE_PATH": "/a; Domain=evil.example"}, "COOKIE_PATH has to be a path such as /accounts, not"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "old"}, "QUARTLOGIN_SECRET_KEY_FALLBACKS has to be a JSON list"),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "[1]"}, "QUARTLOGIN_SECRET_KEY_FALLBACKS has to be a list of texts."),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": '["old"]'}, "SECRET_KEY_FALLBACKS is too short: it has 3 characters"),
        ({"QUARTLOGIN_SECRET_KEY": "short"}, "SECRET_KEY is too short: it has 5 characters and needs at least 32"),
        ({"QUARTLOGIN_SECRET_KEY": ""}, "SECRET_KEY is too short: it has 0 characters"),
        ({"QUARTLOGIN_SECRET_KEY": "ab" * 20}, "SECRET_KEY is too simple: it needs at least 10 different characters"),
        (
            {"QUARTLOGIN_DATABASE": ""},
            "DATABASE has to be the path of a file, or an address such as postgresql://host/name.",
        ),
        (
            {"QUARTLOGIN_DATABASE": ":memory:"},
            "DATABASE has to be the path of a file, or an address such as postgresql://host/name.",
        ),
        (
            {"QUARTLOGIN_SITE_NAME": "\udcff"},
            "DATABASE, SITE_NAME, BARRED_WORDS and the secret keys have to be UTF-8 text",
        ),
        (
            {"QUARTLOGIN_SECRET_KEY": KEY + "\udcff"},
            "DATABASE, SITE_NAME, BARRED_WORDS and the secret keys have to be UTF-8 text",
        ),
        ({"QUARTLOGIN_SECRET_KEY_FALLBACKS": "[" * 90_000}, "QUARTLOGIN_SECRET_KEY_FALLBACKS has to be a JSON list"),
        (
            {"QUARTLOGIN_CSP_REPORT_URL": "https://a.example; script-src *"},
            "CSP_REPORT_URL has to be an address such as",
        ),
        ({"QUARTLOGIN_CSP_REPORT_URL": ""}, "CSP_REPORT_URL has to be an address such as"),
        ({"QUARTLOGIN_SITE_NAME": ""}, "SITE_NAME has to have 1 to 64 characters."),
    ],
    ids=str,
)
def test_an_impossible_environment_is_one_clear_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings({}, environment)

    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"DATABSE": "x"}, "There is no setting DATABSE: did you mean DATABASE?"),
        ({"database": "x"}, "There is no setting database: did you mean DATABASE?"),
        ({"TRUSTED_PROXIES": True}, "TRUSTED_PROXIES has to be a whole number, not bool."),
        ({"TRUSTED_PROXIES": "1"}, "TRUSTED_PROXIES has to be a whole number, not str."),
        ({"TRUSTED_PROXIES": -1}, "TRUSTED_PROXIES has to be 0 or more."),
        ({"REGISTRATION": 1}, "REGISTRATION has to be True or False, not int."),
        ({"SECRET_KEY": b"x" * 40}, "SECRET_KEY has to be text, not bytes."),
        ({"SECRET_KEY_FALLBACKS": KEY}, "SECRET_KEY_FALLBACKS has to be a list of texts."),
    ],
    ids=str,
)
def test_an_impossible_keyword_is_one_clear_sentence(keywords: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(keywords, {})

    assert sentence in str(refusal.value)


def test_a_secret_key_never_stands_in_the_message_about_it() -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings({"SECRET_KEY": "hunter2"}, {})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.requirement("13.3.1")
def test_the_application_refuses_to_start_without_a_secret_key() -> None:
    with pytest.raises(SettingsError, match="There is no SECRET_KEY: set QUARTLOGIN_SECRET_KEY"):
        create_app()
