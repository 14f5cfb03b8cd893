"""What a feature brings: events, a panel, and what is refused of it."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from quart import Quart

from client import KEY
from quartlogin import ConfigurationError
from quartlogin.accounts import Accounts, Feature, Logins, Passwords, get_accounts
from quartlogin.accounts.audit.kinds import EventKind
from quartlogin.accounts.testing import create_user, signed_in_client, use_cheap_hashes


class Clash(Feature):
    name = "clash"
    events: ClassVar[dict[str, EventKind]] = {"signed_in": EventKind("Something else")}


def make_app(folder: Path, *features: Any) -> Quart:
    app = Quart("shop", root_path=str(folder))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(folder / "app.sqlite3"), features=[Passwords(), Logins(), *features])
    use_cheap_hashes(app)
    return app


async def test_the_audit_log_refuses_an_event_that_no_feature_declares(tmp_path: Path) -> None:
    log = get_accounts(make_app(tmp_path)).audit_log

    with pytest.raises(ValueError, match="'sigend_in'"):
        log.event("sigend_in")
    with pytest.raises(ValueError, match="'access_deneid'"):
        log.warn("access_deneid")


async def test_an_event_is_either_stored_or_logged_only(tmp_path: Path) -> None:
    log = get_accounts(make_app(tmp_path)).audit_log

    with pytest.raises(ValueError, match="'access_denied'"):
        log.event("access_denied")
    with pytest.raises(ValueError, match="'signed_in'"):
        log.warn("signed_in")


def test_two_features_cannot_declare_the_same_event(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'signed_in'"):
        make_app(tmp_path, Clash())


def test_a_class_is_no_feature(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Clash"):
        make_app(tmp_path, Clash)


@pytest.mark.parametrize("name", [None, "Code words"])
def test_a_feature_needs_a_name_that_a_folder_can_have(tmp_path: Path, name: str | None) -> None:
    members = {} if name is None else {"name": name}

    with pytest.raises(ConfigurationError, match="Nameless"):
        make_app(tmp_path, type("Nameless", (Feature,), members)())


async def test_the_account_page_has_the_panels_of_the_given_features_only(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    async with app.test_app():
        page = await signed_in_client(app, await create_user(app)).get("/account")
        text = await page.get_data(as_text=True)

    assert page.status_code == 200
    assert 'id="sign-ins"' in text
    assert 'id="tokens"' not in text
