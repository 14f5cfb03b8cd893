"""`Accounts`: the one place where the features are joined to an app."""

from collections import Counter
from functools import partial

from quart import Blueprint, Quart
from quart.typing import ResponseReturnValue

from quartlogin import LoginManager

from .audit import pages as updates_pages
from .audit import security_events
from .audit.account_updates import AccountUpdates
from .audit.log import AuditLog
from .cleanup import Cleanup, EventLimit
from .context import EXTENSION_NAME
from .database.models import User
from .features.api_tokens import pages as api_token_pages
from .features.deletion import pages as deletion_pages
from .features.deletion.service import DeletionService
from .features.logins import pages as login_pages
from .features.logins.service import LoginStore
from .features.logins.user_loader import UserLoader
from .features.passwords import pages as password_pages
from .features.passwords.change_required import EXEMPT, redirect_to_password_change, refuse_websocket
from .features.passwords.hash_parameters import HashParameters
from .features.passwords.hashing import PasswordHashing
from .features.passwords.service import PasswordService
from .features.registration import pages as registration_pages
from .features.registration.service import RegistrationService
from .hooks import Hooks
from .options import AccountsOptions
from .pages import account as account_pages
from .pages import error_pages, filters, user_agents
from .pages.redirects import landing_page
from .security import csrf
from .security.device_cookies import DeviceCookies
from .security.origin_check import reject_cross_site_request
from .security.rate_limits import RateLimits
from .security.secret_key import derive_key
from .store import store_at

_PAGES = (
    password_pages,
    login_pages,
    registration_pages,
    deletion_pages,
    account_pages,
    api_token_pages,
    updates_pages,
)


class Accounts:
    """The accounts of one app: their database, their features, their pages.

    Args:
        app: The app; its secret key is set.
        database: The path of a SQLite file, or the URL of a PostgreSQL server.
        options: The options; the defaults if `None`.
        hooks: The app's coroutine functions.
    """

    def __init__(
        self, app: Quart, database: str, options: AccountsOptions | None = None, hooks: Hooks | None = None
    ) -> None:
        self.options = options or AccountsOptions()
        self.store = store_at(database)
        self.audit_log = AuditLog(self.store)
        self.account_updates = AccountUpdates(self.store)
        self.login_manager = _make_login_manager(app)
        self.logins = LoginStore(
            self.store,
            self.audit_log,
            self.login_manager,
            idle=self.options.login_idle_timeout,
            lifetime=self.options.login_lifetime,
            per_user=self.options.max_logins_per_user,
        )
        self.login_manager.records = self.logins
        self.user_loader = UserLoader(self.store, self.options.login_idle_timeout)
        self.login_manager.user_loader(self.user_loader.find)
        self.rate_limits = RateLimits(
            self.store,
            self.audit_log,
            self.options.login_rate_limit_per_account,
            self.options.login_rate_limit_per_address,
        )
        self.device_cookies = self._make_device_cookies(app)
        self.passwords = self._make_password_service(app, hooks or Hooks())
        self.registration = RegistrationService(self.store, self.passwords, self.audit_log, self.rate_limits)
        self.deletion = DeletionService(self.store, self.passwords, self.logins, self.audit_log)
        event_limit = EventLimit(self.store)
        self.cleanup = Cleanup(
            self.store,
            self.options.event_retention,
            event_limit,
            self._learn_hash_costs,
        )
        self.audit_log.listeners += [self.account_updates.send, event_limit.note]
        #: Endpoints that stay open to users who must change the password first.
        self.password_change_exempt: set[str | None] = {*EXEMPT}
        self._install(app)

    def _make_device_cookies(self, app: Quart) -> DeviceCookies:
        return DeviceCookies(
            [*reversed(app.config["SECRET_KEY_FALLBACKS"] or []), app.config["SECRET_KEY"]],
            is_secure=self.options.https_only,
            on_invalid=partial(self.audit_log.warn, "invalid_device_cookie"),
            name=self.options.device_cookie_name,
            path=self.options.cookie_path,
        )

    def _make_password_service(self, app: Quart, hooks: Hooks) -> PasswordService:
        key = app.config["SECRET_KEY"]
        return PasswordService(
            self.store,
            PasswordHashing(key=derive_key(key, b"quartlogin parameters of unknown names")),
            self.logins,
            self.audit_log,
            self.rate_limits,
            self.device_cookies,
            hooks,
            log_key=derive_key(key, b"quartlogin audit log"),
        )

    def _install(self, app: Quart) -> None:
        app.extensions[EXTENSION_NAME] = self
        security_events.install(app, self.audit_log)
        csrf.renew_at_login(app)
        error_pages.install(app)
        self._add_pages(app)
        app.before_request(self._check_request)
        app.before_websocket(refuse_websocket)
        app.before_serving(self._open)
        app.after_serving(self._close)

    def _add_pages(self, app: Quart) -> None:
        blueprint = Blueprint("accounts", __name__)
        for pages in _PAGES:
            pages.add_pages(blueprint)
        app.register_blueprint(blueprint)
        # Blueprints inherit a `def` processor from Flask that finds nothing here, at the price of a hop to one of the
        # default threads for each page.
        app.template_context_processors.pop(blueprint.name, None)
        app.jinja_env.globals.update(
            site_name=self.options.site_name,
            can_register=self.options.registration,
            csrf_field=csrf.csrf_field,
            landing_page=landing_page,
        )
        app.jinja_env.filters.update(
            describe_browser=user_agents.describe_among_many,
            moment=filters.moment,
            describe_event=filters.describe_event,
        )

    def _learn_hash_costs(self, counts: Counter[HashParameters]) -> None:
        self.passwords.hashing.in_use.learn(counts)

    async def _check_request(self) -> ResponseReturnValue | None:
        reject_cross_site_request(self.audit_log)
        return await redirect_to_password_change(self.password_change_exempt)

    async def _open(self) -> None:
        await self.store.database.open()
        await self.cleanup.start()
        user_agents.load_rules()

    async def _close(self) -> None:
        await self.cleanup.stop()
        await self.user_loader.last_seen.flush()
        await self.store.database.close()
        self.passwords.hashing.close()


def _make_login_manager(app: Quart) -> LoginManager[User]:
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "accounts.login"
    login_manager.login_message = "Sign in to see that page."
    login_manager.refresh_view = "accounts.reauthenticate"
    login_manager.needs_refresh_message = "Enter your password to continue."
    return login_manager
