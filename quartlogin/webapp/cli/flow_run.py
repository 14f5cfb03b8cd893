"""A sign-in and the page after it, in the stand-alone application or in an app that --app names."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any, Final

from quart import Quart, url_for

from quartlogin import LoginManager, UserMixin, login_exempt, login_id, login_user, logout_user, user_logged_in
from quartlogin.accounts import get_accounts, new_key
from quartlogin.accounts.commands import EXPECTED, context_of

from ..app import create_app
from ..app_errors import AppError, has_accounts
from ..settings import Settings
from .flow_browser import FlowBrowser, login_form_of
from .flow_steps import Flow
from .source import app_running, running

_APPLICATION: Final = "quartlogin.webapp"
_NAME: Final = "ada"
_BEGIN: Final = "/quartlogin-flow/begin"
_END: Final = "/quartlogin-flow/end"
_NO_CONTENT: Final = 204
_NOT_ENDED: Final = "The login could not be ended: sign the user out."
FindUser = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class FlowResult:
    """What a run has shown."""

    #: The name of the app.
    app: str
    flow: Flow
    #: The name of the user, `None` in an app without accounts.
    name: str | None
    #: What is left of the run.
    afterwards: str

    @property
    def user_type(self) -> str | None:
        """The type of what the app's loader returned for the page, `None` if it was not asked, or found no one."""
        loaded = self.flow.home.recording.details("loader")
        return loaded.get("type") if loaded.get("outcome") == "user" else None

    @property
    def user_id(self) -> str | None:
        """The id that the loader was called with."""
        return self.flow.home.recording.details("loader").get("user_id")

    @property
    def summary(self) -> str:
        """What the page answered and who the loader returned, in one sentence."""
        answered = f"{self.flow.home.path} answered {self.flow.home.status}"
        if self.user_type is None:
            return f"{answered}, and the loader returned no user for it."
        name = "" if self.name is None else f" ({self.name})"
        return (
            f"{answered}, and the loader returned an object of type {self.user_type} for the id {self.user_id}{name}."
        )


async def run_application(path: str) -> FlowResult:
    """Sign a made-up user in to the stand-alone application, with a database in a temporary folder.

    Args:
        path: The page to request afterwards.

    Raises:
        SettingsError: The environment has an invalid setting.
        AppError: The sign-in failed.
    """
    password = token_urlsafe(24)
    with TemporaryDirectory(prefix="quartlogin-flow-") as folder:
        app = create_app(**_default_settings(), DATABASE=str(Path(folder) / "flow.sqlite3"), SECRET_KEY=new_key())
        async with running(app, _APPLICATION):
            await _register(FlowBrowser(app), password)
            browser = FlowBrowser(app)
            flow = await _sign_in_on_page(browser, "/login", _NAME, password, path)
    return FlowResult(_APPLICATION, flow, _NAME, "The user was made up, and the temporary database is deleted.")


async def run_app(name: str, user: str, path: str, password: str | None) -> FlowResult:
    """Sign a user in to an app that --app names, request a page, and end the login again.

    Args:
        name: Such as `mymodule:app`.
        user: The user's name or, in an app without accounts, their id.
        path: The page to request afterwards.
        password: The password for the app's login page; `None` to call `login_user` instead.

    Raises:
        ConfigurationError: The app cannot be loaded or started.
        AppError: The sign-in failed.
    """
    async with app_running(name) as app:
        manager = _manager_of(app, name)
        app.config["PROPAGATE_EXCEPTIONS"] = True  # an error becomes one sentence, and is not logged
        find, user_name = await _finder(app, manager, user)
        views, browser = _OwnViews(app, find), FlowBrowser(app)
        try:
            if password is None:
                flow = await _sign_in_directly(browser, views, path)
            else:
                flow = await _sign_in_on_page(browser, await _login_page_of(app, manager), user, password, path)
        except EXPECTED as error:
            if not await views.end_logins(browser, manager):
                raise AppError(f"{error} {_NOT_ENDED}") from error
            raise
        finally:
            is_ended = await views.end_logins(browser, manager)
    return FlowResult(name, flow, user_name, _afterwards(app, is_ended=is_ended))


def _default_settings() -> dict[str, Any]:
    """Return the defaults of all settings but two, so that the environment's have no effect."""
    defaults = {setting.name.upper(): setting.default for setting in fields(Settings)}
    chosen = {name: value for name, value in defaults.items() if value is not None and name != "DATABASE"}
    return {name: [*value] if isinstance(value, tuple) else value for name, value in chosen.items()}


async def _register(browser: FlowBrowser, password: str) -> None:
    form = login_form_of(await browser.send("GET", "/register"))
    await browser.send("POST", form.action, form.filled_in(_NAME, password))


def _manager_of(app: Quart, name: str) -> LoginManager[Any]:
    manager = getattr(app, "login_manager", None)
    if not isinstance(manager, LoginManager):
        raise AppError(f"The app {name} has no LoginManager: write LoginManager(app).")
    if not app.secret_key:
        raise AppError(f"The app {name} has no secret key to sign its session with: set app.secret_key.")
    return manager


async def _finder(app: Quart, manager: LoginManager[Any], user: str) -> tuple[FindUser, str | None]:
    """Return what finds the user, and the user's name.

    Raises:
        AppError: The user's oldest login would end.
        ClickException: The app's accounts have no such user.
    """
    if not has_accounts(app):
        return partial(_load_or_stand_in, manager, user), None
    context = context_of(get_accounts(app))
    found = await context.find(user)
    name, most = context.directory.name_of(found.user), context.options.max_logins_per_user
    logins = [login for login in await context.logins.list_of(found.account.user_id) if login.kind == "session"]
    if len(logins) >= most:
        raise AppError(f"{name!r} has {most} sign-ins, and one more would end the oldest: end one of them first.")

    async def find() -> Any:
        return found.user

    return find, name


async def _load_or_stand_in(manager: LoginManager[Any], user_id: str) -> Any:
    """Return what the app's loader returns or, where it returns `None`, an object with this id.

    A loader that looks for the record of the login finds no user before there is one.
    """
    user = await manager.load_user(user_id)
    if user is not None:
        return user
    stand_in: Any = UserMixin()
    stand_in.id = user_id
    setattr(stand_in, manager.id_attribute, lambda: user_id)
    return stand_in


async def _login_page_of(app: Quart, manager: LoginManager[Any]) -> str:
    view = manager.login_view
    if view is None:
        raise AppError("The app names no login page: set login_manager.login_view.")
    if view not in app.view_functions:
        return view
    async with app.test_request_context("/"):
        return url_for(view, _external=False)


async def _sign_in_on_page(browser: FlowBrowser, address: str, name: str, password: str, path: str) -> Flow:
    page = await browser.send("GET", address)
    form = login_form_of(page)
    login = await browser.send("POST", form.action, form.filled_in(name, password))
    if login.recording.details("login").get("outcome") != "signed in":
        outcome = login.recording.details("sign_in").get("outcome")
        why = "" if outcome is None else f": {outcome}"
        raise AppError(f"POST {login.shown_path} answered {login.status} and did not sign {name!r} in{why}.")
    return Flow(home=await browser.send("GET", path), login=login, page=page)


async def _sign_in_directly(browser: FlowBrowser, views: "_OwnViews", path: str) -> Flow:
    login = await browser.send("GET", _BEGIN)
    if views.failure is not None:
        raise AppError(views.failure)
    if not views.has_begun:
        raise AppError(
            f"The app answered {login.status} before a user could be signed in: a before_request function did."
        )
    home = await browser.send("GET", path)
    loaded, user_id = home.recording.details("loader"), login.recording.details("login").get("user_id")
    if loaded.get("outcome") == "no user":
        raise AppError(f"The app's {loaded.get('loader')} returned None for the id {user_id!r}: there is no such user.")
    return Flow(home=home, login=login)


def _afterwards(app: Quart, *, is_ended: bool) -> str:
    if not is_ended:
        return _NOT_ENDED
    recorded = ", and the account's recent activity shows both its begin and its end" if has_accounts(app) else ""
    return f"The login has ended again{recorded}."


class _OwnViews:
    """Two views that the app gets in this process only: they sign the user in, and out again.

    In a request, `before_request` functions have run, as loaders and records expect.

    Args:
        app: The app.
        find: Finds the user, in a request.
    """

    def __init__(self, app: Quart, find: FindUser) -> None:
        self._app, self._find = app, find
        #: The ids of the logins that have begun and not ended, also of those whose cookie never reached the browser.
        self._active: set[str] = set()
        self.has_begun = False
        #: Why the user is not signed in, in one sentence.
        self.failure: str | None = None
        host: dict[str, Any] = (
            {"host": app.config.get("SERVER_NAME") or "localhost"} if app.url_map.host_matching else {}
        )
        for path, view in ((_BEGIN, self._begin), (_END, self._end)):
            endpoint = path.strip("/").replace("/", "_")
            app.add_url_rule(path, endpoint, login_exempt(view), methods=["GET"], **host)
            if has_accounts(app):
                get_accounts(app).password_change_exempt.add(endpoint)
        user_logged_in.connect(self._note_login, app)

    async def end_logins(self, browser: FlowBrowser, manager: LoginManager[Any]) -> bool:
        """End the logins that have begun: in a request or, if that fails, in the app's records.

        Returns:
            Whether all have ended.
        """
        if self._active:
            with suppress(Exception):  # whatever the app raises, its records come next
                await browser.send("GET", _END)
        for begun in tuple(self._active):
            with suppress(Exception):  # the caller tells that the login is left
                async with self._app.test_request_context("/"):
                    await manager.records.login_ended(begun)
                self._active.discard(begun)
        return not self._active

    def _note_login(self, _: Quart, **__: Any) -> None:
        if (begun := login_id()) is not None:
            self._active.add(begun)

    async def _begin(self) -> tuple[str, int]:
        if not await login_user(await self._find()):
            self.failure = "login_user refused the user: they are not active, or the app's records reject the login."
        else:
            self.has_begun = True
        return "", _NO_CONTENT

    async def _end(self) -> tuple[str, int]:
        ended = login_id()
        await logout_user()
        if ended is not None:
            self._active.discard(ended)
        return "", _NO_CONTENT
