"""The services of the accounts of one app."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from quart import Quart

from quartlogin import ConfigurationError, LoginManager

from .audit.account_updates import AccountUpdates
from .audit.log import AuditLog, EventLimit
from .cleanup import Cleanup
from .context import is_own_page
from .feature import Feature
from .features.deletion.service import DeletionService
from .features.logins.service import LoginStore
from .features.logins.user_loader import UserLoader
from .features.passwords.hash_parameters import Parameters
from .features.passwords.hashing import PasswordHashing
from .features.passwords.policy import validate_password
from .features.passwords.service import PasswordService
from .features.registration.service import RegistrationService
from .features.shipped import known_events
from .hooks import Hooks
from .options import AccountsOptions
from .security.device_cookies import DeviceCookies
from .security.rate_limits import RateLimits
from .security.request_checks import EXEMPT, RequestChecks
from .security.secret_key import APP_WITHOUT_KEY, derive_key
from .sign_in.service import SignInService
from .store import store_at
from .users.app import AppDirectory
from .users.checked import CheckedUsers
from .users.directory import Directory
from .users.own import OwnDirectory
from .users.protocol import FieldError


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
        #: The options of the accounts and of their features.
        self.options = plan.options
        #: The app's coroutine functions.
        self.hooks = plan.hooks
        self._hasher: PasswordHasher | None = None

    def create(self, app: Quart, login_manager: LoginManager[Any]) -> None:
        """Create the services for an app."""
        self.app = app
        self.login_manager = login_manager
        self.store = store_at(self.plan.database)
        self.audit_log = AuditLog(self.store.events, known_events(self.plan.features))
        self.account_updates = AccountUpdates(self.store)
        #: Whose logins count in this app: its own, or those of all apps with this audience.
        self.audience = login_manager.audience or app.name
        self.rate_limits = RateLimits(
            self.store.attempts,
            self.audit_log,
            self.options.login_rate_limit_per_account,
            self.options.login_rate_limit_per_address,
        )
        event_limit = EventLimit(self.store.events)
        self.audit_log.listeners += [self.account_updates.send, event_limit.note]
        self.cleanup = Cleanup(
            self.store,
            self.options.event_retention,
            event_limit,
            self.plan.features,
            self._learn_hash_costs,
            self._clean_directory,
        )
        self.request_checks = RequestChecks(self)
        #: Endpoints that stay open to users who must change the password first.
        self.password_change_exempt: set[str | None] = {*EXEMPT}
        self._use_directory()
        self._keys: list[Any] = []
        self._add_services()

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
            idle=self.options.login_idle_timeout,
            lifetime=self.options.login_lifetime,
            per_user=self.options.max_logins_per_user,
            adds_accounts=self.directory.adds_accounts,
        )
        self.login_manager.records = self.logins
        self.user_loader = UserLoader(
            self.store, self.directory, self.audience, self.options.login_idle_timeout, self._stand_in
        )
        self.login_manager.user_loader(self.user_loader.find)
        if self.app is not None and (keys := _keys_of(self.app)):
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

    def use_hasher(self, hasher: PasswordHasher) -> None:
        """Hash passwords with other parameters of argon2, such as cheap ones in tests, from the start of the app on."""
        self._hasher = hasher
        if self._keys:
            self._add_keyed_services(self._keys)

    def _stand_in(self) -> Any:
        """Return the anonymous user for one who must change the password, except on the pages where that is done."""
        return None if self.request_checks.is_hardened or is_own_page() else self.login_manager.anonymous_user()

    async def _clean_directory(self, now: int) -> int:
        return await self.directory.clean(now)

    def _learn_hash_costs(self, counts: Counter[Parameters]) -> None:
        self.passwords.hashing.in_use.learn(counts)


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
