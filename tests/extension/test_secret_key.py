"""Weak and published secret keys: which warnings the extension logs, and when."""

import logging
from pathlib import Path

import pytest
from quart import Quart

from quartlogin import LoginManager, secret_key_weakness

ROOT = Path(__file__).parents[2]
STRONG = "hZ3kq9-vTn2LwYx0_rJ7cD5mBsQe8FgU1aPoKiWt4NyXjRbCvMlEuHdS6"
EXAMPLE = "change me: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.parametrize(
    "key",
    [
        EXAMPLE,
        EXAMPLE.upper(),
        "CHANGE_ME change_me CHANGE_ME change_me 0123456789",
        "c-h-a-n-g-e-m-e 0123456789 abcdefghijklmnopqrstuv",
        "ｃｈａｎｇｅ ｍｅ: 0123456789 abcdefghijklmnopqrstuvwxyz",
        "a long random text, of more than 32 characters 0123456789",
        "Your Secret Key! 0123456789 abcdefghijklmnopqrstuvwxyz",
        "192b9bdd22ab9ed4 d12e236c78afcb9a 393ec15f71bbf5dc 987d54727823bcbf",
        "5F352379-324C2246-3451387A-0AEC5D2F",
        '_5#y2L"F4Q8z\n\xec]/',
        b'_5#y2L"F4Q8z\n\xec]/',
    ],
)
def test_a_published_key_is_known_in_every_spelling(key: str | bytes) -> None:
    assert "example" in (secret_key_weakness(key) or "")


def test_the_key_of_the_readme_is_the_one_that_is_known() -> None:
    assert f'"{EXAMPLE}"' in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("key", [b"", b"\x01" * 32, b"0123456789", "x" * 40, "short", "\ud800" * 40])
def test_a_short_or_simple_key_is_weak_as_text_and_as_bytes(key: str | bytes) -> None:
    assert secret_key_weakness(key)


@pytest.mark.parametrize("key", [STRONG, STRONG.encode(), bytes(range(16)), bytes(range(200, 232))])
def test_a_strong_key_is_none(key: str | bytes) -> None:
    assert secret_key_weakness(key) is None


@pytest.mark.requirement("9.1.3", "V26")
@pytest.mark.parametrize(
    ("key", "fallbacks", "count"), [(EXAMPLE, [], 1), (STRONG, ["dev", EXAMPLE], 2), ("dev", ["x"], 2)]
)
async def test_an_app_that_is_served_with_a_weak_key_says_so_once(
    key: str, fallbacks: list[str], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Quart("shop")
    LoginManager(app)
    app.secret_key = key  # also if it is set after the extension
    app.config["SECRET_KEY_FALLBACKS"] = fallbacks

    async with app.test_app():
        for _ in range(3):
            await app.test_client().get("/")

    said = [record for record in caplog.records if record.name == "quartlogin"]
    assert [record.levelno for record in said] == [logging.WARNING] * count
    assert all("shop" in record.message and "SECRET_KEY" in record.message for record in said)
    assert not any(secret in record.message for record in said for secret in (EXAMPLE, STRONG))


@pytest.mark.parametrize(
    ("key", "testing"), [(STRONG, False), (None, False), ("dev", True), (b"a" * 5 + bytes(30), True)]
)
async def test_a_strong_key_none_and_an_app_that_is_tested_are_passed_over(
    key: str | None, testing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Quart("shop")
    app.secret_key, app.testing = key, testing
    LoginManager(app)

    async with app.test_app():
        pass

    assert caplog.records == []
