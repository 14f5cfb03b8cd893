"""`create_app`: the stand-alone application."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from quart import Quart

from quartlogin import LoginManager, SignedSessionInterface
from quartlogin.accounts import (
    NO_KEY,
    Accounts,
    AccountsOptions,
    ApiTokens,
    Deletion,
    Feature,
    Logins,
    Passwords,
    Registration,
    RouteLoggingQuart,
    find_resource,
    get_accounts,
    session_refused,
)

from . import pages
from .middleware import ProxyHeadersMiddleware, RequestValidationMiddleware, WebSocketLimitsMiddleware
from .settings import Settings, SettingsError, read_settings

_MAX_BODY: Final = 64 * 1024  # bytes
_BODY_TIMEOUT: Final = 4  # seconds; a server that is shutting down waits for open requests
IsBreached = Callable[[str], Awaitable[bool]]

_SECURE_PREFIX: Final = "__Secure-"


def create_app(is_breached: IsBreached | None = None, **settings: Any) -> Quart:
    """Create the application.

    Args:
        is_breached: Called with each new password: does it appear in a data breach?
        settings: Such as `DATABASE="people.sqlite3"`. Settings that are not given here are read from the environment,
            with the prefix `QUARTLOGIN_`.

    Raises:
        SettingsError: A setting is unknown or has an invalid value, or there is no secret key.
    """
    chosen = read_settings(settings)
    if chosen.secret_key is None:
        raise SettingsError(NO_KEY)
    app = RouteLoggingQuart("quartlogin.webapp", template_folder=str(find_resource("templates")), static_folder=None)
    lifetime = timedelta(minutes=chosen.login_lifetime)
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
        MAX_CONTENT_LENGTH=_MAX_BODY,
        BODY_TIMEOUT=_BODY_TIMEOUT,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.url_map.merge_slashes = False  # it would redirect to whatever host the request names
    app.session_interface = PrefixedSessionInterface(on_refused=session_refused)
    accounts = Accounts(
        app,
        database=chosen.database,
        features=features_of(chosen, is_breached),
        shares_database=False,
        login_manager=LoginManager(explain=False),  # it serves others, also while debugging
        **site_options_of(chosen),
    )
    accounts.password_change_exempt |= pages.PASSWORD_CHANGE_EXEMPT
    app.register_blueprint(pages.blueprint)
    app.template_context_processors.pop(pages.blueprint.name, None)  # as `Accounts` does with its own
    _harden(app, accounts, chosen)
    if chosen.metrics_address is not None:
        from quartlogin.telemetry.metrics import serve_metrics  # noqa: PLC0415 -- it needs an extra

        serve_metrics(app, chosen.metrics_address)
    return app


class PrefixedSessionInterface(SignedSessionInterface):
    """Adds the `__Secure-` prefix to the session cookie's name where its path rules out `__Host-`.

    Then no plain connection can set it (RFC 6265bis, 4.1.3). The remember cookie follows.
    """

    def get_cookie_name(self, app: Quart) -> str:
        """Return the cookie's name with its prefix."""
        name = super().get_cookie_name(app)
        has_host_prefix = self.get_cookie_path(app) == "/"
        return name if has_host_prefix or not self.get_cookie_secure(app) else _SECURE_PREFIX + name


def features_of(settings: Settings, is_breached: IsBreached | None = None) -> list[Feature]:
    """Return the accounts' features for the application's settings."""
    passwords = Passwords(
        min_length=settings.password_min_length,
        denylist=settings.password_denylist,
        rate_limit_per_account=settings.login_rate_limit_per_account,
        rate_limit_per_address=settings.login_rate_limit_per_address,
        is_breached=is_breached,
    )
    logins = Logins(
        idle_timeout=timedelta(minutes=settings.login_idle_timeout),
        lifetime=timedelta(minutes=settings.login_lifetime),
        max_per_user=settings.max_logins_per_user,
    )
    registration: list[Feature] = [Registration()] if settings.registration else []
    return [passwords, logins, *registration, ApiTokens(), Deletion()]


def site_options_of(settings: Settings) -> dict[str, Any]:
    """Return the accounts' other options for the application's settings."""
    return {
        "site_name": settings.site_name,
        "home": "webapp.home",
        "event_retention": timedelta(days=settings.event_retention),
        "https_only": settings.trusted_proxies > 0,
        "device_cookie_name": settings.device_cookie_name,
        "cookie_path": settings.cookie_path,
    }


def options_of(settings: Settings) -> AccountsOptions:
    """Return the accounts' options for the application's settings."""
    return AccountsOptions.of(features_of(settings), **site_options_of(settings))


def _harden(app: Quart, accounts: Accounts, settings: Settings) -> None:
    app.asgi_app = RequestValidationMiddleware(  # type: ignore[method-assign]  # as Quart asks
        app.asgi_app, settings.allowed_hosts, _rejection_logger(app)
    )
    accounts.harden(app, max_body=2 * _MAX_BODY, csp_report_url=settings.csp_report_url)
    # Outside of the headers, which depend on whether the browser's connection is https.
    proxied = ProxyHeadersMiddleware(app.asgi_app, settings.trusted_proxies)
    app.asgi_app = WebSocketLimitsMiddleware(proxied)  # type: ignore[method-assign]  # the same


def _rejection_logger(app: Quart) -> Callable[[Any], None]:
    """Return a function that logs a request that the middleware rejects."""

    def log(scope: Any) -> None:
        address, _ = scope.get("client") or ("", 0)
        user_agent = next((value for name, value in scope["headers"] if name.lower() == b"user-agent"), b"")
        get_accounts(app).audit_log.warn_unserved(address, user_agent.decode("latin-1"))

    return log
