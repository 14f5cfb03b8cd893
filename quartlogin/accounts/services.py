"""The services of the accounts of one app, and how they are joined to it."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from argon2 import PasswordHasher
from quart import Blueprint, Quart, abort, request
from quart.typing import ResponseReturnValue

from quartlogin import ConfigurationError, LoginManager

from .audit import pages as updates_pages
from .audit import security_events
from .audit.account_updates import AccountUpdates
from .audit.log import AuditLog
from .checks import check_addresses, check_proof_pages, check_shared_cookies, exempt_from_csrf_of
from .cleanup import Cleanup, EventLimit
from .context import BLUEPRINT, EXTENSION_NAME, is_own_page
from .feature import Feature
from .features.deletion.service import DeletionService
from .features.logins.service import LoginStore
from .features.logins.user_loader import UserLoader
from .features.passwords.change_required import EXEMPT, redirect_to_password_change, refuse_websocket
from .features.passwords.hashing import PasswordHashing
from .features.passwords.old_schemes import Parameters
from .features.passwords.pages import well_known_change_password
from .features.passwords.policy import validate_password
from .features.passwords.service import PasswordService
from .features.registration.service import RegistrationService
from .features.shipped import known_events
from .hooks import Hooks
from .options import AccountsOptions
from .pages import account as account_pages
from .pages import error_pages, user_agents
from .pages.redirects import check_landing_pages
from .pages.template_global import TemplateGlobal
from .paths import STATIC, find_resource
from .security import csrf
from .security.csrf import reject_cross_site_request
from .security.device_cookies import DeviceCookies
from .security.hardening import (
    MAX_BODY,
    BodySizeLimitMiddleware,
    SecurityHeadersMiddleware,
    announced_size,
    protect_own_pages,
)
from .security.rate_limits import RateLimits
from .security.secret_key import APP_WITHOUT_KEY, derive_key
from .sign_in.service import SignInService
from .store import store_at
from .users.app import AppDirectory
from .users.checked import CheckedUsers
from .users.directory import Directory
from .users.own import OwnDirectory
from .users.protocol import FieldError

_SECOND_LOADER: Final = (
    "The LoginManager has a user_loader of the app's, and the accounts load users by themselves: remove it, and "
    "register your users with @accounts.users."
)


@dataclass
class Plan:
    """What an app asks of its accounts."""

    database: str
    prefix: str
    features: list[Feature]
    options: AccountsOptions
    login_manager: LoginManager[Any] | None
    create_tables: bool
    shares_database: bool
    hooks: Hooks
    #: The app's own users, checked; `None`: the accounts keep them in `quartlogin_users`.
    users: Any = None


class Services:
    """The services of the accounts of one app.

    Args:
        plan: What the app asks for.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        #: The app, once the accounts are joined to it.
        self.app: Quart | None = None
        self._hasher: PasswordHasher | None = None
        #: Whether every page of the app is protected as those of the accounts are.
        self.is_hardened = False
        self._max_body: int | None = None

    @property
    def options(self) -> AccountsOptions:
        """The options of the accounts and of their features."""
        return self.plan.options

    @property
    def hooks(self) -> Hooks:
        """The app's coroutine functions."""
        return self.plan.hooks

    def install(self, app: Quart) -> None:
        """Join the accounts to an app."""
        self.app = app
        self.store = store_at(self.plan.database)
        self.audit_log = AuditLog(self.store, known_events(self.plan.features))
        self.account_updates = AccountUpdates(self.store)
        self.login_manager = _prepare_login_manager(app, self.plan.login_manager, self.plan.options.audience)
        #: Whose logins count in this app: its own, or those of all apps with this audience.
        self.audience = self.login_manager.audience or app.name
        self.rate_limits = RateLimits(
            self.store,
            self.audit_log,
            self.plan.options.login_rate_limit_per_account,
            self.plan.options.login_rate_limit_per_address,
        )
        event_limit = EventLimit(self.store)
        self.audit_log.listeners += [self.account_updates.send, event_limit.note]
        self.cleanup = Cleanup(
            self.store,
            self.plan.options.event_retention,
            event_limit,
            self.plan.features,
            self._learn_hash_costs,
            self._clean_directory,
        )
        #: Endpoints that stay open to users who must change the password first.
        self.password_change_exempt: set[str | None] = {*EXEMPT}
        self._use_directory()
        self._keys: list[Any] = []
        self._add_services()
        app.extensions[EXTENSION_NAME] = self
        security_events.install(app, self.audit_log)
        csrf.renew_at_login(app)
        error_pages.install_own(app)
        self._add_pages(app)
        protect_own_pages(app)
        app.before_serving(self._open)
        app.after_serving(self._close)

    def check_new_password(self, field: str, password: str, name: str) -> None:
        """Check a new password against the policy.

        Args:
            field: The name of the form's field.
            password: As entered.
            name: The user's name, of which it may not consist.

        Raises:
            FieldError: It is not valid.
        """
        words = (*self.options.context_words, *([name] if self.directory.validate(name) is None else []))
        if fault := validate_password(password, self.options.password_min_length, words):
            raise FieldError(field, fault)

    def use(self, users: Any) -> None:
        """Use the app's own users, as `check_users` returned them."""
        self.plan.users = users
        if self.app is not None:
            self._use_directory()
            self._add_services()

    def use_secret_key(self, app: Quart) -> None:
        """Create what depends on the app's secret key, unless that is done and the key is the same.

        Raises:
            ConfigurationError: The app has none.
        """
        keys = _keys_of(app)
        if not keys:
            raise ConfigurationError(APP_WITHOUT_KEY)
        if keys != self._keys:
            self._add_keyed_services(keys)

    def _use_directory(self) -> None:
        self.directory: Directory = (
            OwnDirectory(self.store)
            if self.plan.users is None
            else AppDirectory(self.store, CheckedUsers(self.plan.users, self.login_manager.id_attribute))
        )

    def _add_services(self) -> None:
        """Create what depends on the users; and on the secret key, if it is known yet."""
        self.logins = LoginStore(
            self.store,
            self.audit_log,
            self.login_manager,
            audience=self.audience,
            idle=self.plan.options.login_idle_timeout,
            lifetime=self.plan.options.login_lifetime,
            per_user=self.plan.options.max_logins_per_user,
            adds_accounts=self.directory.adds_accounts,
        )
        self.login_manager.records = self.logins
        self.user_loader = UserLoader(
            self.store, self.directory, self.audience, self.plan.options.login_idle_timeout, self._stand_in
        )
        self.login_manager.user_loader(self.user_loader.find)
        if self.app is not None and (keys := _keys_of(self.app)):
            self._add_keyed_services(keys)

    def _add_keyed_services(self, keys: list[Any]) -> None:
        self._keys = keys
        self.device_cookies = DeviceCookies(
            keys,
            is_secure=self.plan.options.https_only,
            on_invalid=partial(self.audit_log.warn, "invalid_device_cookie"),
            name=self.plan.options.device_cookie_name,
            path=self.plan.options.cookie_path,
        )
        self.sign_ins = SignInService(
            self.store,
            self.directory,
            self.plan.features,
            self.hooks,
            self.audit_log,
            self.rate_limits,
            self.device_cookies,
            self.audience,
        )
        self.passwords = PasswordService(
            self.store,
            self.directory,
            PasswordHashing(
                self._hasher,
                key=derive_key(keys[-1], b"quartlogin parameters of unknown names"),
                declared=self.options.old_password_schemes,
            ),
            self.logins,
            self.audit_log,
            self.rate_limits,
            self.device_cookies,
            self.hooks,
            self.sign_ins,
            log_key=derive_key(keys[-1], b"quartlogin audit log"),
            old_pepper=self.options.old_password_pepper,
        )
        self.registration = RegistrationService(
            self.store, self.directory, self.passwords, self.audit_log, self.rate_limits
        )
        self.deletion = DeletionService(self.directory, self.passwords, self.logins, self.audit_log)

    def _add_pages(self, app: Quart) -> None:
        blueprint = Blueprint(
            BLUEPRINT,
            __name__,
            url_prefix=self.plan.prefix or None,
            template_folder=str(find_resource("templates")),
            static_folder=str(STATIC),
            static_url_path=f"/static/{BLUEPRINT}",
        )
        blueprint.before_request(self._check_own_request)
        blueprint.before_websocket(refuse_websocket)
        error_pages.install(blueprint)
        for feature in self.plan.features:
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
        app.jinja_env.globals[BLUEPRINT] = TemplateGlobal(self)

    def use_hasher(self, hasher: PasswordHasher) -> None:
        """Hash passwords with other parameters of argon2, such as cheap ones in tests, from the start of the app on."""
        self._hasher = hasher
        if self._keys:
            self._add_keyed_services(self._keys)

    def harden_app(self, app: Quart, max_body: int | None, csp_report_url: str | None) -> None:
        """Protect every page of the app as those of the accounts are; see `Accounts.harden`."""
        self.is_hardened = True
        self._max_body = max_body
        error_pages.install(app)
        # Before the app's own functions, which may change something.
        app.before_request_funcs.setdefault(None, []).insert(0, self._check_request)
        app.before_websocket_funcs.setdefault(None, []).insert(0, refuse_websocket)
        limited = app.asgi_app if max_body is None else BodySizeLimitMiddleware(app.asgi_app, max_body)
        app.asgi_app = SecurityHeadersMiddleware(limited, csp_report_url)  # type: ignore[method-assign]  # as Quart asks

    def _stand_in(self) -> Any:
        """Return the anonymous user for one who must change the password, except on the pages where that is done."""
        return None if self.is_hardened or is_own_page() else self.login_manager.anonymous_user()

    async def _clean_directory(self, now: int) -> int:
        return await self.directory.clean(now)

    def _learn_hash_costs(self, counts: Counter[Parameters]) -> None:
        self.passwords.hashing.in_use.learn(counts)

    async def _check_own_request(self) -> ResponseReturnValue | None:
        if announced_size(request.scope) > MAX_BODY:
            abort(413)
        return None if self.is_hardened else await self._check_request()

    async def _check_request(self) -> ResponseReturnValue | None:
        if self._max_body is not None and announced_size(request.scope) > self._max_body:
            abort(413)  # the middleware reads nothing of it
        reject_cross_site_request(self.audit_log)
        return await redirect_to_password_change(self.password_change_exempt)

    async def _open(self) -> None:
        app = self.app
        if app is None:
            return  # never: an app calls this
        self.use_secret_key(app)
        if self.login_manager.user_callback != self.user_loader.find:
            raise ConfigurationError(_SECOND_LOADER)
        check_addresses(app)
        check_landing_pages(app, self.options)
        check_proof_pages(app, self.plan.features)
        check_shared_cookies(app, self.options.audience)
        if self.options.registration_form is not None and not self.directory.takes_fields:
            raise ConfigurationError(
                "Registration(form=...) has fields of the app's own, and the accounts' users table has no columns for "
                "them: register your users with @accounts.users."
            )
        exempt_from_csrf_of(app)
        await self.store.database.open(create_tables=self.plan.create_tables, is_shared=self.plan.shares_database)
        await self._claim_accounts()
        await self.cleanup.start()
        user_agents.load_rules()

    async def _claim_accounts(self) -> None:
        try:
            await self.store.claim(self.directory.table)
            await self.directory.check()
        except BaseException:
            await self.store.database.close()
            raise

    async def _close(self) -> None:
        await self.cleanup.stop()
        await self.user_loader.last_seen.flush()
        await self.store.database.close()
        self.passwords.hashing.close()


def _keys_of(app: Quart) -> list[Any]:
    """Return the app's keys, the one that signs last; none without a secret key.

    Raises:
        ConfigurationError: One is neither text nor bytes, such as a number that an environment variable was read as.
    """
    if not app.secret_key:
        return []
    keys: list[Any] = [*reversed(app.config["SECRET_KEY_FALLBACKS"] or []), app.secret_key]
    if not all(isinstance(key, str | bytes) for key in keys):
        raise ConfigurationError("A secret key of the app is neither str nor bytes: set a text as SECRET_KEY.")
    return keys


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
