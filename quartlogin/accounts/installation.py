"""Join the accounts to an app: their pages, the checks around its views, and what runs at its start and end."""

from typing import Any, Final

from quart import Blueprint, Quart

from quartlogin import ConfigurationError, LoginManager

from .audit import pages as updates_pages
from .audit import security_events
from .checks import check_addresses, check_proof_pages, check_shared_cookies, exempt_from_csrf_of
from .context import BLUEPRINT, EXTENSION_NAME
from .features.passwords.pages import well_known_change_password
from .pages import account as account_pages
from .pages import error_pages, user_agents
from .pages.redirects import check_landing_pages
from .pages.template_global import TemplateGlobal
from .paths import STATIC, find_resource
from .security import csrf
from .security.hardening import BodySizeLimitMiddleware, SecurityHeadersMiddleware, protect_own_pages
from .security.request_checks import refuse_websocket
from .services import Services

_SECOND_LOADER: Final = (
    "The LoginManager has a user_loader of the app's, and the accounts load users by themselves: remove it, and "
    "register your users with @accounts.users."
)


def join(services: Services, app: Quart) -> None:
    """Join the accounts to an app.

    Raises:
        ConfigurationError: The app has something that cannot be combined with them.
    """
    plan = services.plan
    services.create(app, _prepare_login_manager(app, plan.login_manager, plan.options.audience))
    app.extensions[EXTENSION_NAME] = services
    security_events.install(app, services.audit_log)
    csrf.renew_at_login(app)
    error_pages.install_own(app)
    _add_pages(services, app)
    protect_own_pages(app)

    @app.before_serving
    async def open_accounts() -> None:
        await _open(services, app)

    @app.after_serving
    async def close_accounts() -> None:
        await _close(services)


def harden(services: Services, app: Quart, max_body: int | None, csp_report_url: str | None) -> None:
    """Protect every page of the app as those of the accounts are; see `Accounts.harden`."""
    checks = services.request_checks
    checks.is_hardened, checks.max_body = True, max_body
    error_pages.install(app)
    # Before the app's own functions, which may change something.
    app.before_request_funcs.setdefault(None, []).insert(0, checks.before_view)
    app.before_websocket_funcs.setdefault(None, []).insert(0, refuse_websocket)
    limited = app.asgi_app if max_body is None else BodySizeLimitMiddleware(app.asgi_app, max_body)
    app.asgi_app = SecurityHeadersMiddleware(limited, csp_report_url)  # type: ignore[method-assign]  # as Quart asks


def _prepare_login_manager(app: Quart, given: LoginManager[Any] | None, audience: str | None) -> LoginManager[Any]:
    """Return the app's login manager, with the accounts' pages where it has none.

    Raises:
        ConfigurationError: It has a `user_loader` or another audience, or is another one than the app's.
    """
    present: LoginManager[Any] | None = getattr(app, "login_manager", None)
    manager = given or present or LoginManager()
    if manager.user_callback is not None:
        raise ConfigurationError(_SECOND_LOADER)
    if manager.audience not in {None, audience}:
        raise ConfigurationError(
            f"The LoginManager has the audience {manager.audience!r:.80}, and Accounts has {audience!r}: set only that "
            "of Accounts."
        )
    manager.audience = audience
    if present is not manager:
        manager.init_app(app)
    if manager.login_view is None:
        manager.login_view = f"{BLUEPRINT}.login"
        manager.login_message = "Sign in to see that page."
    if manager.refresh_view is None:
        manager.refresh_view = f"{BLUEPRINT}.reauthenticate"
        manager.needs_refresh_message = "Enter your password to continue."
    return manager


def _add_pages(services: Services, app: Quart) -> None:
    blueprint = Blueprint(
        BLUEPRINT,
        __name__,
        url_prefix=services.plan.prefix or None,
        template_folder=str(find_resource("templates")),
        static_folder=str(STATIC),
        static_url_path=f"/static/{BLUEPRINT}",
    )
    blueprint.before_request(services.request_checks.before_own_view)
    blueprint.before_websocket(refuse_websocket)
    error_pages.install(blueprint)
    for feature in services.plan.features:
        feature.add_pages(blueprint)
    account_pages.add_pages(blueprint)
    updates_pages.add_pages(blueprint)
    app.register_blueprint(blueprint)
    # A well-known address is at the root, whatever the prefix (RFC 8615).
    app.add_url_rule(
        "/.well-known/change-password",
        endpoint=f"{BLUEPRINT}.well_known_change_password",
        view_func=well_known_change_password,
    )
    # Blueprints inherit a `def` processor from Flask that finds nothing here, at the price of a hop to one of the
    # default threads for each page.
    app.template_context_processors.pop(blueprint.name, None)
    app.jinja_env.globals[BLUEPRINT] = TemplateGlobal(services)


async def _open(services: Services, app: Quart) -> None:
    services.use_secret_key(app)
    if services.login_manager.user_callback != services.user_loader.find:
        raise ConfigurationError(_SECOND_LOADER)
    check_addresses(app)
    check_landing_pages(app, services.options)
    check_proof_pages(app, services.plan.features)
    check_shared_cookies(app, services.options.audience)
    if services.options.registration_form is not None and not services.directory.takes_fields:
        raise ConfigurationError(
            "Registration(form=...) has fields of the app's own, and the accounts' users table has no columns for "
            "them: register your users with @accounts.users."
        )
    exempt_from_csrf_of(app)
    plan = services.plan
    await services.store.database.open(create_tables=plan.create_tables, is_shared=plan.shares_database)
    await _claim_accounts(services)
    await services.cleanup.start()
    user_agents.load_rules()


async def _claim_accounts(services: Services) -> None:
    try:
        await services.store.claim(services.directory.table)
        await services.directory.check()
    except BaseException:
        await services.store.database.close()
        raise


async def _close(services: Services) -> None:
    await services.cleanup.stop()
    await services.user_loader.last_seen.flush()
    await services.store.database.close()
    services.passwords.hashing.close()
