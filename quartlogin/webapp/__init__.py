"""A complete sign-in application on top of quartlogin: this is the one place where its parts are joined."""

from typing import Any, Final

from quart import Quart

from quartlogin import LoginManager, SignedSessionInterface

from . import csrf, error_pages, services
from .accounts import Accounts
from .body_limit import BodyLimit
from .foreign_posts import refuse_foreign_posts
from .headers import SecureHeaders
from .keys import NO_KEY
from .passwords import Passwords
from .proxies import TrustedProxies
from .resources import find
from .settings import Settings, SettingsError, read_settings
from .store import SQLiteStore, User
from .views import account, files, health, sign_in
from .well_formed import WellFormedRequests

__all__ = ["Settings", "SettingsError", "create_app"]

_LARGEST_BODY: Final = 64 * 1024  # bytes
_LONGEST_WAIT_FOR_A_BODY: Final = 4  # seconds; a server that is told to end waits for open requests
_LONGEST_LOGIN: Final = 30 * 24 * 60 * 60  # seconds; NIST SP 800-63B-4, 2.1.3


def create_app(**settings: Any) -> Quart:
    """Make the application.

    Args:
        settings: Such as `DATABASE="people.sqlite3"`. What is not given here is read from the environment, with
            `QUARTLOGIN_` in front.

    Raises:
        SettingsError: A setting is unknown or has an impossible value, or there is no secret key.
    """
    chosen = read_settings(settings)
    if chosen.secret_key is None:
        raise SettingsError(NO_KEY)
    app = Quart("quartlogin.webapp", template_folder=str(find("templates")))
    app.config.update(
        SECRET_KEY=chosen.secret_key,
        SECRET_KEY_FALLBACKS=list(chosen.secret_key_fallbacks),
        SESSION_COOKIE_NAME="quartlogin",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=chosen.trusted_proxies > 0,
        PERMANENT_SESSION_LIFETIME=_LONGEST_LOGIN,
        REMEMBER_COOKIE_NAME="quartlogin_remember",
        REMEMBER_COOKIE_DURATION=_LONGEST_LOGIN,
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        BODY_TIMEOUT=_LONGEST_WAIT_FOR_A_BODY,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.session_interface = SignedSessionInterface()
    parts = _join(app, chosen)
    app.before_serving(parts.store.open)
    app.after_serving(parts.store.close)
    _add_login(app, parts.accounts)
    _add_pages(app, chosen)
    believing = TrustedProxies(BodyLimit(app.asgi_app, 2 * _LARGEST_BODY), chosen.trusted_proxies)
    app.asgi_app = SecureHeaders(WellFormedRequests(believing))  # type: ignore[method-assign]  # as Quart asks
    return app


def _join(app: Quart, settings: Settings) -> services.Services:
    store = SQLiteStore(settings.database)
    passwords = Passwords()

    async def let_threads_go() -> None:
        passwords.close()

    app.after_serving(let_threads_go)
    parts = services.Services(settings=settings, store=store, accounts=Accounts(store, passwords))
    services.install(app, parts)
    return parts


def _add_login(app: Quart, accounts: Accounts) -> None:
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "sign_in.login"
    login_manager.login_message = "Please sign in to see that page."
    login_manager.user_loader(accounts.find)


def _add_pages(app: Quart, settings: Settings) -> None:
    refuse_foreign_posts(app)
    error_pages.install(app)
    for pages in (sign_in, account, health, files):
        app.register_blueprint(pages.blueprint)
    app.jinja_env.globals.update(
        site_name=settings.site_name, can_register=settings.registration, token_field=csrf.token_field
    )
