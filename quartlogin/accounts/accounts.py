"""`Accounts`: the one place where the features are joined to an app."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, Final, TypeVar

from quart import Blueprint, Quart
from quart.typing import ResponseReturnValue

from quartlogin import ConfigurationError, LoginManager

from .app_users import AppDirectory
from .audit import pages as updates_pages
from .audit import security_events
from .audit.account_updates import AccountUpdates
from .audit.log import AuditLog
from .checks import BLUEPRINT, check_addresses, check_features, check_place
from .cleanup import Cleanup, EventLimit
from .context import EXTENSION_NAME
from .directory import Directory, OwnDirectory
from .feature import Feature
from .features.api_tokens.feature import ApiTokens
from .features.deletion.feature import Deletion
from .features.deletion.service import DeletionService
from .features.logins.feature import Logins
from .features.logins.service import LoginStore
from .features.logins.user_loader import UserLoader
from .features.passwords.change_required import EXEMPT, redirect_to_password_change, refuse_websocket
from .features.passwords.feature import Passwords
from .features.passwords.hash_parameters import HashParameters
from .features.passwords.hashing import PasswordHashing
from .features.passwords.pages import well_known_change_password
from .features.passwords.service import PasswordService
from .features.registration.feature import Registration
from .features.registration.service import RegistrationService
from .hooks import Hooks
from .options import AccountsOptions
from .pages import account as account_pages
from .pages import error_pages, filters, user_agents
from .pages.redirects import check_landing_pages, home_page
from .paths import find_resource
from .security import csrf
from .security.device_cookies import DeviceCookies
from .security.origin_check import reject_cross_site_request
from .security.rate_limits import RateLimits
from .security.secret_key import APP_WITHOUT_KEY, derive_key
from .store import store_at
from .users import check_users

UsersT = TypeVar("UsersT")

_SECOND_LOADER: Final = (
    "The LoginManager has a user_loader of the app's, and the accounts load users by themselves: remove it, and "
    "register your users with @accounts.users."
)


def default_features() -> list[Feature]:
    """Return every feature, with its default options."""
    return [Passwords(), Logins(), Registration(), ApiTokens(), Deletion()]


class Accounts:
    """The accounts of an app: their database, their features, their pages.

    The pages are those of the blueprint `accounts`: `url_for("accounts.login")` and so on.

    Args:
        app: The app, if it exists already; otherwise call `init_app`.
        database: The path of a SQLite file, or the address of a PostgreSQL server, `postgresql://...`. It may be the
            app's own: the names of all tables begin with `quartlogin_`.
        users: The app's own users, as `users` registers them; `None`: the accounts have a users table of their own.
        login_manager: The app's `LoginManager`, without a `user_loader`. One is created if `None`.
        prefix: The path below which the pages are, such as `/me`.
        features: The features; all of them if `None`.
        create_tables: Whether the tables are created and upgraded when the app starts.
        shares_database: Whether the database may contain other tables.
        hooks: The app's coroutine functions.
        options: The fields of `AccountsOptions` that belong to no feature: `site_name`, `home`, `after_login`,
            `after_logout`, `after_registration`, `event_retention`, `https_only`, `device_cookie_name`, `cookie_path`.

    Raises:
        ConfigurationError: The app has accounts already, or something that they need is taken or missing.
    """

    def __init__(  # noqa: PLR0913 -- by name, and each has a default
        self,
        app: Quart | None = None,
        *,
        database: str,
        login_manager: LoginManager[Any] | None = None,
        prefix: str = "",
        features: Sequence[Feature] | None = None,
        users: Any = None,
        create_tables: bool = True,
        shares_database: bool = True,
        hooks: Hooks | None = None,
        **options: Any,
    ) -> None:
        check_place(database, prefix)
        self._database = database
        self._given_manager = login_manager
        self._prefix = prefix
        self.features = default_features() if features is None else [*features]
        check_features(self.features)
        self._users = None if users is None else check_users(users)
        self._create_tables = create_tables
        self._shares_database = shares_database
        self._hooks = hooks or _hooks_of(self.features)
        self.options = AccountsOptions.of(self.features, **options)
        self._app: Quart | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Add the accounts to an app. Each further app gets accounts of its own, with the same options.

        Raises:
            ConfigurationError: The app has accounts already, or something that they need is taken.
        """
        if EXTENSION_NAME in app.extensions:
            raise ConfigurationError(f"The app {app.name!r} has accounts already: create one Accounts for each app.")
        if BLUEPRINT in app.blueprints:
            raise ConfigurationError(
                f"The app {app.name!r} has a blueprint {BLUEPRINT!r}, and the accounts' own has this name: rename it."
            )
        bound = self if self._app is None else copy(self)
        bound._install(app)

    def _install(self, app: Quart) -> None:
        self._app = app
        self.store = store_at(self._database)
        self.audit_log = AuditLog(self.store)
        self.account_updates = AccountUpdates(self.store)
        self.login_manager = _prepare_login_manager(app, self._given_manager)
        self.rate_limits = RateLimits(
            self.store,
            self.audit_log,
            self.options.login_rate_limit_per_account,
            self.options.login_rate_limit_per_address,
        )
        event_limit = EventLimit(self.store)
        self.audit_log.listeners += [self.account_updates.send, event_limit.note]
        self.cleanup = Cleanup(
            self.store, self.options.event_retention, event_limit, self._learn_hash_costs, self._clean_directory
        )
        #: Endpoints that stay open to users who must change the password first.
        self.password_change_exempt: set[str | None] = {*EXEMPT}
        self._use_directory()
        self._keys: list[Any] = []
        self._add_services()
        app.extensions[EXTENSION_NAME] = self
        security_events.install(app, self.audit_log)
        csrf.renew_at_login(app)
        error_pages.install(app)
        self._add_pages(app)
        app.before_request(self._check_request)
        app.before_websocket(refuse_websocket)
        app.before_serving(self._open)
        app.after_serving(self._close)

    def users(self, users: UsersT) -> UsersT:
        """Register the app's own users, before the app starts: a class, or an object of one.

        Returns:
            The same, so that it can stand above the class.

        Raises:
            ConfigurationError: Something is missing from the class.
        """
        self._users = check_users(users)
        if self._app is not None:
            self._use_directory()
            self._add_services()
        return users

    def _use_directory(self) -> None:
        self.directory: Directory = (
            OwnDirectory(self.store)
            if self._users is None
            else AppDirectory(self.store, self._users, self.login_manager.id_attribute)
        )

    def _add_services(self) -> None:
        """Create what depends on the users; and on the secret key, if it is known yet."""
        self.logins = LoginStore(
            self.store,
            self.audit_log,
            self.login_manager,
            idle=self.options.login_idle_timeout,
            lifetime=self.options.login_lifetime,
            per_user=self.options.max_logins_per_user,
            adds_accounts=self.directory.adds_accounts,
        )
        self.login_manager.records = self.logins
        self.user_loader = UserLoader(self.store, self.directory, self.options.login_idle_timeout)
        self.login_manager.user_loader(self.user_loader.find)
        if self._app is not None and (keys := _keys_of(self._app)):
            self._add_keyed_services(keys)

    def _add_keyed_services(self, keys: list[Any]) -> None:
        self._keys = keys
        self.device_cookies = DeviceCookies(
            keys,
            is_secure=self.options.https_only,
            on_invalid=partial(self.audit_log.warn, "invalid_device_cookie"),
            name=self.options.device_cookie_name,
            path=self.options.cookie_path,
        )
        self.passwords = PasswordService(
            self.store,
            self.directory,
            PasswordHashing(key=derive_key(keys[-1], b"quartlogin parameters of unknown names")),
            self.logins,
            self.audit_log,
            self.rate_limits,
            self.device_cookies,
            self._hooks,
            log_key=derive_key(keys[-1], b"quartlogin audit log"),
        )
        self.registration = RegistrationService(
            self.store, self.directory, self.passwords, self.audit_log, self.rate_limits
        )
        self.deletion = DeletionService(self.directory, self.passwords, self.logins, self.audit_log)

    def _add_pages(self, app: Quart) -> None:
        blueprint = Blueprint(
            BLUEPRINT, __name__, url_prefix=self._prefix or None, template_folder=str(find_resource("templates"))
        )
        for feature in self.features:
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
        app.jinja_env.globals.update(
            site_name=self.options.site_name,
            can_register=self.options.registration,
            csrf_field=csrf.csrf_field,
            landing_page=home_page,
        )
        app.jinja_env.filters.update(
            describe_browser=user_agents.describe_among_many,
            moment=filters.moment,
            describe_event=filters.describe_event,
        )

    async def _clean_directory(self, now: int) -> int:
        return await self.directory.clean(now)

    def _learn_hash_costs(self, counts: Counter[HashParameters]) -> None:
        self.passwords.hashing.in_use.learn(counts)

    async def _check_request(self) -> ResponseReturnValue | None:
        reject_cross_site_request(self.audit_log)
        return await redirect_to_password_change(self.password_change_exempt)

    async def _open(self) -> None:
        app = self._app
        keys = [] if app is None else _keys_of(app)
        if app is None or not keys:
            raise ConfigurationError(APP_WITHOUT_KEY)
        if self.login_manager.user_callback != self.user_loader.find:
            raise ConfigurationError(_SECOND_LOADER)
        check_addresses(app)
        check_landing_pages(app, self.options)
        if keys != self._keys:
            self._add_keyed_services(keys)
        await self.store.database.open(create_tables=self._create_tables, is_shared=self._shares_database)
        await self._claim_accounts()
        await self.cleanup.start()
        user_agents.load_rules()

    async def _claim_accounts(self) -> None:
        try:
            await self.store.claim(self.directory.table)
        except BaseException:
            await self.store.database.close()
            raise

    async def _close(self) -> None:
        await self.cleanup.stop()
        await self.user_loader.last_seen.flush()
        await self.store.database.close()
        self.passwords.hashing.close()


def _hooks_of(features: Sequence[Feature]) -> Hooks:
    [passwords] = [feature for feature in features if isinstance(feature, Passwords)] or [Passwords()]
    return Hooks(is_breached=passwords.is_breached)


def _keys_of(app: Quart) -> list[Any]:
    """Return the app's keys, the one that signs last; none without a secret key."""
    if not app.secret_key:
        return []
    return [*reversed(app.config["SECRET_KEY_FALLBACKS"] or []), app.secret_key]


def _prepare_login_manager(app: Quart, given: LoginManager[Any] | None) -> LoginManager[Any]:
    """Return the app's login manager, with the accounts' pages where it has none.

    Raises:
        ConfigurationError: It has a `user_loader`, or is another one than the app's.
    """
    present: LoginManager[Any] | None = getattr(app, "login_manager", None)
    manager = given or present or LoginManager()
    if manager.user_callback is not None:
        raise ConfigurationError(_SECOND_LOADER)
    if present is not manager:
        manager.init_app(app)
    if manager.login_view is None:
        manager.login_view = f"{BLUEPRINT}.login"
        manager.login_message = "Sign in to see that page."
    if manager.refresh_view is None:
        manager.refresh_view = f"{BLUEPRINT}.reauthenticate"
        manager.needs_refresh_message = "Enter your password to continue."
    return manager
