"""`LoginManager`: setup, and the errors of a missing or wrong setup."""

from collections.abc import Callable

import pytest
from quart import Quart, render_template_string
from users import ADA, BY_ID, SignIn, User

import quartlogin
from quartlogin import (
    LOGIN_MESSAGE,
    AnonymousUserMixin,
    ConfigurationError,
    LoginManager,
    QuartLoginError,
    RequestNeededError,
    UserNotLoadedError,
    current_user,
    login_required,
    login_user,
    logout_user,
)


def test_a_manager_starts_with_flask_logins_defaults() -> None:
    manager: LoginManager[User] = LoginManager()

    assert manager.anonymous_user is AnonymousUserMixin
    assert manager.login_view is None
    assert manager.login_message == LOGIN_MESSAGE
    assert manager.login_message_category == "message"
    assert manager.id_attribute == "get_id"
    assert manager.unauthorized_callback is None
    assert manager.user_callback is None


def test_the_app_knows_its_manager(bare_app: Quart) -> None:
    manager: LoginManager[User] = LoginManager(bare_app)

    assert bare_app.extensions["quartlogin"] is manager
    assert bare_app.login_manager is manager


def test_a_manager_can_be_given_its_app_later(bare_app: Quart) -> None:
    manager: LoginManager[User] = LoginManager()
    manager.init_app(bare_app)

    assert bare_app.extensions["quartlogin"] is manager


@pytest.mark.parametrize("second", ["another", "the same"])
def test_a_second_manager_is_refused_with_a_sentence(bare_app: Quart, second: str) -> None:
    manager: LoginManager[User] = LoginManager(bare_app)
    managers = {"another": LoginManager[User](), "the same": manager}

    with pytest.raises(ConfigurationError, match=r"'site'.*LoginManager.*\.\Z"):
        managers[second].init_app(bare_app)

    assert bare_app.extensions["quartlogin"] is manager


def test_a_second_manager_that_was_refused_left_nothing_behind(bare_app: Quart) -> None:
    LoginManager(bare_app)
    before = len(bare_app.after_request_funcs[None]), len(bare_app.before_request_funcs[None])

    with pytest.raises(ConfigurationError):
        LoginManager(bare_app)

    assert (len(bare_app.after_request_funcs[None]), len(bare_app.before_request_funcs[None])) == before


async def look() -> str:
    await current_user
    return ""


async def enter() -> str:
    await login_user(ADA)
    return ""


async def leave() -> str:
    await logout_user()
    return ""


@pytest.mark.parametrize("view", [look, enter, leave, login_required(look)], ids=["look", "in", "out", "guard"])
async def test_an_app_without_a_manager_says_what_to_write(bare_app: Quart, view: Callable[[], object]) -> None:
    async with bare_app.test_request_context("/"):
        with pytest.raises(ConfigurationError, match=r"'site'.*LoginManager\(app\)"):
            await view()


async def test_a_manager_without_a_loader_says_what_to_write(bare_app: Quart) -> None:
    LoginManager(bare_app)

    async with bare_app.test_request_context("/"):
        with pytest.raises(ConfigurationError, match=r"@login_manager\.user_loader"):
            await current_user


async def test_an_app_without_a_manager_is_none_the_wiser(bare_app: Quart) -> None:
    async with bare_app.test_request_context("/"):
        assert await render_template_string("{{ current_user is defined }}") == "False"


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_registering_a_loader_gives_it_back(login_manager: LoginManager[User], kind: str) -> None:
    async def load_async(user_id: str) -> User | None:
        return BY_ID.get(user_id)

    def load(user_id: str) -> User | None:
        return BY_ID.get(user_id)

    loader = {"async def": load_async, "def": load}[kind]

    assert login_manager.user_loader(loader) is loader
    assert login_manager.user_callback is loader
    assert await login_manager.load_user("1") is ADA


async def test_the_last_loader_that_was_registered_counts(login_manager: LoginManager[User]) -> None:
    login_manager.user_loader(lambda _: None)
    login_manager.user_loader(BY_ID.get)

    assert await login_manager.load_user("1") is ADA


async def test_a_factory_makes_apps_that_share_one_manager(
    make_app: Callable[..., Quart], login_manager: LoginManager[User], loads: list[str], sign_in: SignIn
) -> None:
    def create_app(name: str) -> Quart:
        app = make_app(name)
        login_manager.init_app(app)

        @app.get("/")
        @login_required
        async def home() -> str:
            return f"{current_user.name} at {name}"

        return app

    first, second = create_app("first"), create_app("second")
    answers = [await (await sign_in(first, "1")).get("/"), await (await sign_in(second, "2")).get("/")]

    assert [await answer.get_data(as_text=True) for answer in answers] == ["Ada at first", "Grace at second"]


async def test_routes_may_stand_before_the_manager(
    bare_app: Quart, login_manager: LoginManager[User], loads: list[str], sign_in: SignIn
) -> None:
    @bare_app.get("/")
    @login_required
    async def home() -> str:
        return current_user.name

    login_manager.init_app(bare_app)

    response = await (await sign_in(bare_app)).get("/")

    assert await response.get_data(as_text=True) == "Ada"


@pytest.mark.parametrize("error", [ConfigurationError, RequestNeededError, UserNotLoadedError])
def test_every_error_has_one_root(error: type[Exception]) -> None:
    assert issubclass(error, QuartLoginError)


def test_every_public_name_exists_and_is_listed_in_order() -> None:
    assert [name for name in quartlogin.__all__ if not hasattr(quartlogin, name)] == []
    assert len(set(quartlogin.__all__)) == len(quartlogin.__all__)


def test_an_unknown_setting_is_rejected_with_the_nearest_name(bare_app: Quart) -> None:
    bare_app.config["REMEMBER_COOKIE_DURATOIN"] = 60

    with pytest.raises(ConfigurationError, match=r"REMEMBER_COOKIE_DURATION\b"):
        LoginManager(bare_app)
