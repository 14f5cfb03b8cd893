"""Accounts in somebody's app: what it takes, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart

from client import KEY, PASSWORD, Page, Visitor
from databases import run_sql
from quartlogin import ConfigurationError, LoginManager, current_user, login_required
from quartlogin.accounts import (
    Accounts,
    ApiTokens,
    DatabaseRefused,
    Logins,
    Passwords,
    Registration,
    get_accounts,
)
from quartlogin.accounts.testing import create_user, signed_in_client, use_cheap_hashes


def make_app(root: Path = Path(__file__).parent) -> Quart:
    app = Quart("shop", root_path=str(root))  # where there are no templates of ours
    app.config["SECRET_KEY"] = KEY

    @app.before_serving
    async def hash_cheaply() -> None:
        if app.secret_key:  # in all tests but one
            use_cheap_hashes(app)

    @app.get("/")
    async def shop() -> str:
        return "the shop"

    @app.get("/mine")
    @login_required
    async def mine() -> str:
        return f"of {current_user.username}"

    return app


async def register(visitor: Visitor, prefix: str = "") -> Page:
    return await visitor.fill_in(f"{prefix}/register", username="Ada", password=PASSWORD)


async def test_three_lines_give_an_app_its_sign_in_pages(tmp_path: Path) -> None:
    app = make_app()
    Accounts(app, database=str(tmp_path / "app.sqlite3"))

    async with app.test_app() as running:
        ada = Visitor(running.test_client())
        assert (await register(ada)).location == "/account"
        assert (await ada.get("/mine")).text == "of Ada"
        assert (await ada.get("/account")).status == 200


async def test_an_app_that_is_made_later_gets_accounts_by_init_app(tmp_path: Path) -> None:
    accounts = Accounts(database=str(tmp_path / "app.sqlite3"))
    first, second = make_app(), make_app()
    accounts.init_app(first)
    accounts.init_app(second)

    assert get_accounts(first) is not get_accounts(second)
    async with first.test_app() as one, second.test_app() as other:
        await register(Visitor(one.test_client()))
        again = Visitor(other.test_client())
        assert (await again.sign_in("ada")).status == 302


async def test_accounts_share_a_database_with_the_tables_of_the_app(tmp_path: Path) -> None:
    database = str(tmp_path / "app.sqlite3")
    run_sql(database, "CREATE TABLE users (id INTEGER PRIMARY KEY, address TEXT)")
    run_sql(database, "INSERT INTO users VALUES (1, 'ada@example.org')")
    Path(database).chmod(0o600)
    app = make_app()
    Accounts(app, database=database)

    async with app.test_app() as running:
        await register(Visitor(running.test_client()))

    assert run_sql(database, "SELECT * FROM users") == [(1, "ada@example.org")]


async def test_pages_stand_below_a_prefix_and_the_well_known_address_at_the_root(tmp_path: Path) -> None:
    app = make_app()
    Accounts(app, database=str(tmp_path / "app.sqlite3"), prefix="/me")

    async with app.test_app() as running:
        ada = Visitor(running.test_client())
        assert (await ada.get("/login")).status == 404
        assert (await register(ada, "/me")).location == "/me/account"
        known = await ada.get("/.well-known/change-password")
        assert known.location == "/me/account/password"


async def test_landing_pages_are_arguments(tmp_path: Path) -> None:
    app = make_app()
    Accounts(
        app,
        database=str(tmp_path / "app.sqlite3"),
        page_after_login="mine",
        page_after_logout="/bye",
        page_after_registration="shop",
    )

    async with app.test_app() as running:
        ada = Visitor(running.test_client())
        assert (await register(ada)).location == "/"
        assert (await ada.sign_out()).location == "/bye"
        signed_in = await ada.sign_in("ada")
        assert signed_in.location == "/mine"


async def test_only_the_features_that_are_given_have_pages(tmp_path: Path) -> None:
    app = make_app()
    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"), features=[Passwords(), Logins()])

    async with app.test_app() as running:
        visitor = Visitor(running.test_client())
        assert (await visitor.get("/login")).status == 200
        for path in ("/register", "/account/delete", "/account/tokens"):
            assert (await visitor.get(path)).status == 404
        visitor = Visitor(signed_in_client(app, await create_user(app)))
        account = await visitor.get("/account")
        assert account.status == 200
        assert "/tokens" not in account.text
        assert "/delete" not in account.text
    assert accounts.options.registration is False


async def test_the_secret_key_may_be_set_after_the_accounts(tmp_path: Path) -> None:
    app = make_app()
    app.config["SECRET_KEY"] = None
    Accounts(app, database=str(tmp_path / "app.sqlite3"))
    app.config["SECRET_KEY"] = KEY

    async with app.test_app() as running:
        assert (await register(Visitor(running.test_client()))).status == 302


async def test_a_secret_key_of_bytes_will_do(tmp_path: Path) -> None:
    app = make_app()
    app.config["SECRET_KEY"] = KEY.encode()
    Accounts(app, database=str(tmp_path / "app.sqlite3"))

    async with app.test_app() as running:
        assert (await register(Visitor(running.test_client()))).status == 302


async def test_a_template_of_the_app_takes_the_place_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "accounts"
    folder.mkdir(parents=True)
    (folder / "layout.html").write_text("<body class=shop>{% block content %}{% endblock %}</body>")
    app = make_app(tmp_path)
    Accounts(app, database=str(tmp_path / "app.sqlite3"))

    async with app.test_app() as running:
        page = await Visitor(running.test_client()).get("/login")

    assert "<body class=shop>" in page.text
    assert 'name="password"' in page.text


async def test_pages_bring_their_own_files(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    Accounts(app, database=str(tmp_path / "app.sqlite3"), prefix="/me")

    async with app.test_app() as running:
        visitor = Visitor(running.test_client())
        page = await visitor.get("/me/login")
        found = re.findall(r'(?:href|src)="(/[^"]*static[^"]*)"', page.text)
        statuses = {path: (await visitor.get(path)).status for path in found}

    assert set(statuses.values()) == {200}
    assert all(path.startswith("/me/static/accounts/") for path in found)


# --- what is refused


def test_a_secret_key_that_is_a_number_is_refused(tmp_path: Path) -> None:
    app = Quart("shop", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = 12345678  # as `from_prefixed_env` reads it

    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        Accounts(app, database=str(tmp_path / "app.sqlite3"))


async def test_an_app_without_a_secret_key_does_not_start(tmp_path: Path) -> None:
    app = make_app()
    app.config["SECRET_KEY"] = None
    Accounts(app, database=str(tmp_path / "app.sqlite3"))

    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        await app.startup()


def test_an_app_has_one_accounts(tmp_path: Path) -> None:
    app = make_app()
    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"))

    with pytest.raises(ConfigurationError, match="one Accounts"):
        Accounts(app, database=str(tmp_path / "other.sqlite3"))
    with pytest.raises(ConfigurationError, match="one Accounts"):
        accounts.init_app(app)


def test_a_login_manager_with_a_user_loader_is_refused(tmp_path: Path) -> None:
    app = make_app()
    LoginManager(app).user_loader(lambda _: None)

    with pytest.raises(ConfigurationError, match="user_loader"):
        Accounts(app, database=str(tmp_path / "app.sqlite3"))


async def test_a_user_loader_that_is_registered_later_stops_the_start(tmp_path: Path) -> None:
    app = make_app()
    Accounts(app, database=str(tmp_path / "app.sqlite3")).login_manager.user_loader(lambda _: None)

    with pytest.raises(ConfigurationError, match="user_loader"):
        await app.startup()


def test_the_login_manager_of_the_app_is_used(tmp_path: Path) -> None:
    app = make_app()
    manager: LoginManager[Any] = LoginManager(app)
    manager.login_view = "mine"

    accounts = Accounts(app, database=str(tmp_path / "app.sqlite3"))

    assert accounts.login_manager is manager
    assert manager.login_view == "mine"


def test_an_endpoint_of_the_same_name_is_refused(tmp_path: Path) -> None:
    app = Quart("shop")
    app.add_url_rule("/elsewhere", endpoint="accounts.login", view_func=lambda: "mine")

    with pytest.raises(ConfigurationError, match="endpoint"):
        Accounts(app, database=str(tmp_path / "app.sqlite3"))


async def test_an_empty_table_with_the_name_of_ours_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "app.sqlite3"
    run_sql(database, "CREATE TABLE quartlogin_schema (version BIGINT NOT NULL, users_table TEXT)")
    database.chmod(0o600)
    app = Quart("shop")
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(database))

    with pytest.raises(DatabaseRefused, match="an empty table"):
        await app.startup()


def test_a_blueprint_of_the_same_name_is_refused(tmp_path: Path) -> None:
    app = make_app()
    app.register_blueprint(Blueprint("accounts", __name__))

    with pytest.raises(ConfigurationError, match="blueprint"):
        Accounts(app, database=str(tmp_path / "app.sqlite3"))


@pytest.mark.parametrize("path", ["/login", "/account", "/.well-known/change-password"])
async def test_a_route_of_the_app_at_an_address_of_ours_stops_the_start(tmp_path: Path, path: str) -> None:
    app = make_app()
    app.add_url_rule(path, endpoint="clash", view_func=app.view_functions["shop"])
    Accounts(app, database=str(tmp_path / "app.sqlite3"))

    with pytest.raises(ConfigurationError, match=path):
        await app.startup()


@pytest.mark.parametrize("name", ["home", "page_after_login", "page_after_logout", "page_after_registration"])
async def test_a_landing_page_that_does_not_exist_stops_the_start(tmp_path: Path, name: str) -> None:
    app = make_app()
    Accounts(app, database=str(tmp_path / "app.sqlite3"), **{name: "nowhere"})

    with pytest.raises(ConfigurationError, match=name):
        await app.startup()


async def test_a_table_of_the_app_with_our_prefix_stops_the_start(tmp_path: Path) -> None:
    database = str(tmp_path / "app.sqlite3")
    run_sql(database, "CREATE TABLE quartlogin_users (id INTEGER)")
    Path(database).chmod(0o600)
    app = make_app()
    Accounts(app, database=database)

    with pytest.raises(DatabaseRefused, match="quartlogin_users"):
        await app.startup()


async def test_tables_are_not_created_when_the_app_does_that(tmp_path: Path) -> None:
    database = str(tmp_path / "app.sqlite3")
    app = make_app()
    Accounts(app, database=database, create_tables=False)

    with pytest.raises(DatabaseRefused, match="init-db"):
        await app.startup()
    assert run_sql(database, "SELECT name FROM sqlite_master") == []


@pytest.mark.parametrize(
    "make_one",
    [
        lambda: Passwords(min_length=-7),
        lambda: Passwords(min_length="15"),  # type: ignore[arg-type]
        lambda: Passwords(rate_limit_per_account=0),
        lambda: Passwords(rate_limit_per_address=True),
        lambda: Logins(idle_timeout=3600),  # type: ignore[arg-type]
        lambda: Logins(max_per_user=10**9),
        lambda: Accounts(database="a", features=[Passwords(), Passwords(), Logins()]),
        lambda: Accounts(database="a", features=[Registration(), ApiTokens()]),
        lambda: Accounts(database="a", site_nam="Shop"),
        lambda: Accounts(database="a", prefix="me"),
        lambda: Accounts(database="a", prefix="/me/"),
        lambda: Accounts(database=":memory:"),
        lambda: Accounts(database=""),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(make_one: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make_one()
