"""`create_app`: the one place where the application's parts are joined."""

import hmac
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from quart import Quart

from quartlogin import LoginManager

from ..accounts.accounts import Services, services_of
from ..accounts.accounts import install as install_services
from ..accounts.audit import security_events
from ..accounts.audit.account_updates import AccountUpdates
from ..accounts.audit.log import AuditLog
from ..accounts.audit.session_anomalies import SessionAnomalies
from ..accounts.cleanup import Cleanup, EventLimit
from ..accounts.database.models import User
from ..accounts.features.logins.service import LoginStore
from ..accounts.features.logins.user_loader import UserLoader
from ..accounts.features.passwords.change_required import redirect_to_password_change
from ..accounts.features.passwords.hash_parameters import HashParameters
from ..accounts.features.passwords.hashing import PasswordHashing
from ..accounts.features.passwords.service import Accounts
from ..accounts.hooks import Hooks
from ..accounts.pages import error_pages, filters, user_agents
from ..accounts.paths import STATIC, find
from ..accounts.security import csrf
from ..accounts.security.body_size_limit import BodySizeLimitMiddleware
from ..accounts.security.device_cookies import DeviceCookies
from ..accounts.security.headers import SecurityHeadersMiddleware
from ..accounts.security.origin_check import reject_cross_site_posts
from ..accounts.security.rate_limits import RateLimits
from ..accounts.security.secret_key import NO_KEY
from ..accounts.store import Store, store_at
from .middleware.proxy_headers import ProxyHeadersMiddleware
from .middleware.request_validation import RequestValidationMiddleware
from .middleware.websocket_limits import WebSocketLimitsMiddleware
from .pages import BLUEPRINTS
from .session_cookie import ApplicationSessionInterface
from .settings import Settings, SettingsError, read_settings

_LARGEST_BODY: Final = 64 * 1024  # bytes
_LONGEST_WAIT_FOR_A_BODY: Final = 4  # seconds; a server that is told to end waits for open requests


def create_app(hooks: Hooks | None = None, **settings: Any) -> Quart:
    """Make the application.

    Args:
        hooks: What is asked and told besides.
        settings: Such as `DATABASE="people.sqlite3"`. What is not given here is read from the environment, with
            `QUARTLOGIN_` in front.

    Raises:
        SettingsError: A setting is unknown or has an impossible value, or there is no secret key.
    """
    chosen = read_settings(settings)
    if chosen.secret_key is None:
        raise SettingsError(NO_KEY)
    lifetime = timedelta(minutes=chosen.login_lifetime)
    app = security_events.RouteLoggingQuart(
        "quartlogin.webapp", template_folder=str(find("templates")), static_folder=str(STATIC)
    )
    app.config.update(
        SECRET_KEY=chosen.secret_key,
        SECRET_KEY_FALLBACKS=list(chosen.secret_key_fallbacks),
        SESSION_COOKIE_NAME=chosen.session_cookie_name,
        SESSION_COOKIE_PATH=chosen.cookie_path,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=chosen.trusted_proxies > 0,
        PERMANENT_SESSION_LIFETIME=lifetime,
        REMEMBER_COOKIE_NAME=chosen.remember_cookie_name,
        REMEMBER_COOKIE_PATH=chosen.cookie_path,
        REMEMBER_COOKIE_DURATION=lifetime,
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        BODY_TIMEOUT=_LONGEST_WAIT_FOR_A_BODY,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.url_map.merge_slashes = False  # it would redirect to whatever host the request names
    app.session_interface = ApplicationSessionInterface(on_refused=security_events.session_refused)
    _join(app, chosen, hooks or Hooks())
    _add_pages(app, chosen)
    tell = _telling_of_others(app)
    well_formed = RequestValidationMiddleware(
        BodySizeLimitMiddleware(app.asgi_app, 2 * _LARGEST_BODY), chosen.allowed_hosts, tell
    )
    # The proxies first: the headers depend on whether the browser's connection is https.
    believed = ProxyHeadersMiddleware(
        SecurityHeadersMiddleware(well_formed, chosen.csp_report_url), chosen.trusted_proxies
    )
    app.asgi_app = WebSocketLimitsMiddleware(believed)  # type: ignore[method-assign]  # as Quart asks
    return app


def _telling_of_others(app: Quart) -> Callable[[Any], None]:
    """Return what logs a request that is refused before the application sees it."""

    def tell(scope: Any) -> None:
        address, _ = scope.get("client") or ("", 0)
        browser = next((value for name, value in scope["headers"] if name.lower() == b"user-agent"), b"")
        services_of(app).accounts.audit_log.warn_unserved(address, browser.decode("latin-1"))

    return tell


def _join(app: Quart, settings: Settings, hooks: Hooks) -> None:
    store, passwords = (
        store_at(settings.database),
        PasswordHashing(key=_key_for(settings, b"quartlogin parameters of unknown names")),
    )
    audit_log, account_updates = AuditLog(store), AccountUpdates(store)
    login_manager = _add_login(app)
    event_limit = EventLimit(store)
    audit_log.listeners += [account_updates.tell, event_limit.note]
    SessionAnomalies(audit_log).install(app)
    logins = LoginStore(
        store,
        audit_log,
        login_manager,
        idle=timedelta(minutes=settings.login_idle_timeout),
        lifetime=timedelta(minutes=settings.login_lifetime),
        per_user=settings.max_logins_per_user,
    )
    login_manager.records = logins
    user_loader = UserLoader(store, timedelta(minutes=settings.login_idle_timeout))
    login_manager.user_loader(user_loader.find)
    rate_limits = RateLimits(store, settings.login_rate_limit_per_account, settings.login_rate_limit_per_address)
    device_cookies = DeviceCookies(
        [*reversed(settings.secret_key_fallbacks), settings.secret_key or ""],
        is_secure=settings.trusted_proxies > 0,
        tell=partial(audit_log.warn, "invalid_device_cookie"),
        name=settings.device_cookie_name,
        path=settings.cookie_path,
    )
    accounts = Accounts(
        store,
        passwords,
        logins,
        audit_log,
        rate_limits,
        device_cookies,
        hooks,
        _key_for(settings, b"quartlogin audit log"),
    )
    install_services(app, Services(settings, store, accounts, logins, user_loader, account_updates, login_manager))

    def learn(counts: Counter[HashParameters]) -> None:
        services_of(app).accounts.passwords.in_use.learn(counts)

    housekeeping = Cleanup(store, timedelta(days=settings.event_retention), event_limit, learn)
    _open_and_close(app, store, user_loader, housekeeping)


def _open_and_close(app: Quart, store: Store, user_loader: UserLoader, housekeeping: Cleanup) -> None:
    async def open_all() -> None:
        await store.database.open()
        await housekeeping.start()
        user_agents.get_ready()

    async def close_all() -> None:
        await housekeeping.stop()
        await user_loader.last_seen.flush()
        await store.database.close()
        services_of(app).accounts.passwords.close()

    app.before_serving(open_all)
    app.after_serving(close_all)


def _add_login(app: Quart) -> LoginManager[User]:
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "sign_in.login"
    login_manager.login_message = "Please sign in to see that page."
    login_manager.refresh_view = "sign_in.reauthenticate"
    login_manager.needs_refresh_message = "Please type your password again first."
    return login_manager


def _key_for(settings: Settings, purpose: bytes) -> bytes:
    return hmac.digest((settings.secret_key or "").encode(), purpose, "sha256")


def _add_pages(app: Quart, settings: Settings) -> None:
    audit_log = services_of(app).accounts.audit_log
    security_events.install(app, audit_log)
    csrf.renew_at_login(app)
    reject_cross_site_posts(app, audit_log)
    redirect_to_password_change(app)
    error_pages.install(app)
    for pages in BLUEPRINTS:
        app.register_blueprint(pages)
        # Blueprints inherit a `def` processor from Flask that finds nothing here, at the price of a hop to one of the
        # default threads for each page.
        app.template_context_processors.pop(pages.name, None)
    app.jinja_env.globals.update(
        site_name=settings.site_name, can_register=settings.registration, csrf_field=csrf.csrf_field
    )
    app.jinja_env.filters.update(
        describe_browser=user_agents.describe_among_many, moment=filters.moment, describe_event=filters.event
    )
