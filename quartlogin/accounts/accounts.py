"""`Accounts`: sign-in pages for an app."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from datetime import timedelta
from typing import Any, TypeVar

from quart import Quart, current_app, has_app_context

from quartlogin import ConfigurationError, LoginManager, current_user, login_user, logout_user

from .checks import check_features, check_place
from .context import BLUEPRINT, EXTENSION_NAME, get_accounts
from .database.errors import StoreUnavailable
from .feature import Feature
from .features.passwords.feature import Passwords
from .features.passwords.service import WrongCredentials, WrongPassword
from .features.shipped import default_features, known_events
from .hooks import Check, Hooks, Listener
from .installation import harden, join
from .options import AccountsOptions
from .security.proofs import Requirement
from .security.step_up import Guard, check_requirement, guard_with
from .services import Plan, Services
from .users.protocol import FieldError, check_users

UsersT = TypeVar("UsersT")


class Accounts(Services):
    """The accounts of an app: their database, their features, their pages.

    The pages are those of the blueprint `accounts`: `url_for("accounts.login")` and so on.

    Args:
        app: The app, if it exists already; otherwise call `init_app`.
        database: The path of a SQLite file, or the address of a PostgreSQL server, `postgresql://...`. It may be the
            app's own: the names of all tables begin with `quartlogin_`.
        users: The app's own users, as `users` registers them; `None`: the accounts keep them in `quartlogin_users`.
        login_manager: The app's `LoginManager`, without a `user_loader`. One is created if `None`.
        prefix: The path below which the pages are, such as `/me`.
        features: The features; all of them if `None`.
        create_tables: Whether the tables are created and upgraded when the app starts.
        shares_database: Whether the database may contain other tables.
        options: The fields of `AccountsOptions` that belong to no feature: `site_name`, `home`, `page_after_login`,
            `page_after_logout`, `page_after_registration`,
            `audience`, `event_retention`, `https_only`, `device_cookie_name`, `cookie_path`.

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
        **options: Any,
    ) -> None:
        check_place(database, prefix)
        chosen = default_features() if features is None else [*features]
        check_features(chosen)
        known_events(chosen)
        super().__init__(
            Plan(
                database,
                prefix,
                chosen,
                AccountsOptions.of(chosen, **options),
                login_manager,
                create_tables,
                shares_database,
                _hooks_of(chosen),
                None if users is None else check_users(users),
            )
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Add the accounts to an app. Each further app gets separate accounts with the same options.

        Raises:
            ConfigurationError: The app has accounts already, or something that they need is taken.
        """
        if EXTENSION_NAME in app.extensions:
            raise ConfigurationError(f"The app {app.name!r} has accounts already: create one Accounts for each app.")
        if BLUEPRINT in app.blueprints:
            raise ConfigurationError(
                f"The app {app.name!r} has a blueprint {BLUEPRINT!r}, and the accounts' own has this name: rename it."
            )
        if clash := next((name for name in app.view_functions if name.startswith(f"{BLUEPRINT}.")), None):
            raise ConfigurationError(
                f'The app {app.name!r} has an endpoint {clash!r}, and names that begin with "{BLUEPRINT}." are for the '
                "accounts' own: rename it."
            )
        bound = self if self.app is None else copy(self)
        join(bound, app)

    def users(self, users: UsersT) -> UsersT:
        """Register the app's own users, before the app starts: a class, or an object of one.

        Returns:
            The same, so that it can stand above the class.

        Raises:
            ConfigurationError: Something is missing from the class.
        """
        self.use(check_users(users))
        return users

    def requires(self, *proofs: str, within: timedelta | None = None) -> Guard:
        """Make a decorator that restricts a view to users who have proved something in this login.

        It implies `login_required`. Others are led to the page that asks for the password, or get 401 with the
        challenge of RFC 9470 if they are API clients; websockets are refused. One above another means both. What the
        accounts write in such a view checks the proofs again.

        Args:
            proofs: Alternatives, such as `"password"`: one of them is enough. Without any, whatever was proved.
            within: How long ago at most; `None` for any time in this login.

        Raises:
            ConfigurationError: No feature knows one of the proofs, or the duration is out of range.
        """
        known = {name for feature in self.plan.features for name in feature.proofs}
        check_requirement(proofs, within, known)
        return guard_with(Requirement(proofs, within))

    def harden(self, app: Quart, *, max_body: int | None = None, csp_report_url: str | None = None) -> None:
        """Protect every page of the app as those of the accounts are.

        The security headers that a response lacks are added. Requests that another site sends to change something are
        refused. Users who must change their password are led to the page for it. Errors are answered with pages.

        Args:
            app: The app that has these accounts.
            max_body: Bytes that the body of a request may have; `None`: `MAX_CONTENT_LENGTH` alone decides.
            csp_report_url: Where browsers report violations of the Content-Security-Policy, if anywhere.

        Raises:
            ConfigurationError: The app has other accounts, or none, or is hardened already.
        """
        here = app.extensions.get(EXTENSION_NAME)
        if not isinstance(here, Services) or here.request_checks.is_hardened:
            raise ConfigurationError("Call accounts.harden(app) once, for an app that has accounts.")
        harden(here, app, max_body, csp_report_url)

    # --- hooks

    def before_sign_in(self, check: Check) -> Check:
        """Register a coroutine function that is called with the user when a sign-in's password is correct.

        Any result except `True` is answered, and counted, as a wrong password; an error is answered 503.
        """
        self.hooks.before_sign_in.append(check)
        return check

    def after_sign_in(self, listener: Listener) -> Listener:
        """Register a coroutine function that is called with each user who has signed in with a password."""
        self.hooks.after_sign_in.append(listener)
        return listener

    def after_registration(self, listener: Listener) -> Listener:
        """Register a coroutine function that is called with each user who has registered."""
        self.hooks.after_registration.append(listener)
        return listener

    def after_password_change(self, listener: Listener) -> Listener:
        """Register a coroutine function that is called with each user who has changed the password."""
        self.hooks.after_password_change.append(listener)
        return listener

    def after_deletion(self, listener: Listener) -> Listener:
        """Register a coroutine function that is called with each user who was deleted."""
        self.hooks.after_deletion.append(listener)
        return listener

    # --- what the pages do, for views of the app's own

    async def sign_in(self, name: str, password: str, *, remember: bool = False) -> Any:
        """Check a name and a password, and sign the user in.

        Args:
            name: As entered.
            password: As entered.
            remember: Whether the browser stays signed in when it is closed.

        Returns:
            The user.

        Raises:
            WrongCredentials: They are wrong, or the user may not sign in.
            TooManyAttempts: Too many attempts failed before this one; the password was not checked.
            Overloaded: Too many passwords are being checked; this one was not.
            HookFailed: A `before_sign_in` hook failed.
            StepRequired: They are correct, and a feature asks for one more step, on the page `error.endpoint`.
        """
        signed_in = await self._here.passwords.sign_in(name, password, remember=remember)
        if signed_in is None:
            raise WrongCredentials
        return signed_in.user

    async def register(self, name: str, password: str, fields: Mapping[str, Any] | None = None) -> Any:
        """Create a user with an account, and sign in.

        Args:
            name: As entered.
            password: As entered.
            fields: The values of the app's own fields.

        Returns:
            The user.

        Raises:
            FieldError: The name (`username`), the password (`password`) or another value is not valid.
            NameTaken: A user has this name.
            BreachedPassword: The password appears in a data breach.
            TooManyAttempts: Too many registrations were attempted from this address.
            Overloaded: Too many passwords are being checked or hashed.
        """
        here = self._here
        if fault := here.directory.validate(name):
            raise FieldError("username", fault)
        here.check_new_password("password", password, name)
        return await here.registration.register(name, password, fields or {}, login_user)

    async def change_password(self, current: str, new: str) -> None:
        """Change the password of the signed-in user; all other logins end.

        Args:
            current: The password, as entered.
            new: The new one, as entered.

        Raises:
            WrongPassword: `current` is not the password.
            FieldError: The new password is not valid.
            BreachedPassword: The new password appears in a data breach.
            SamePassword: The new password is the one that must be changed.
            LoginEnded: This request's login has ended.
            ReauthenticationRequired: The view requires a proof that the login no longer holds.
            TooManyAttempts: Too many attempts failed before this one; nothing was checked.
            Overloaded: Too many passwords are being checked or hashed.
        """
        here, user = self._here, await current_user
        here.check_new_password("new_password", new, here.directory.name_of(user) if user.is_authenticated else "")
        if not await here.passwords.change_password(user, current, new):
            raise WrongPassword

    async def delete(self, password: str) -> None:
        """Delete the signed-in user with everything that belongs to the account, and sign out.

        Args:
            password: As entered.

        Raises:
            WrongPassword: It is not the user's password.
            DeleteRefused: The app refuses.
            LoginEnded: This request's login has ended.
            ReauthenticationRequired: The view requires a proof that the login no longer holds.
            TooManyAttempts: Too many attempts failed before this one; nothing was checked.
            Overloaded: Too many passwords are being checked.
        """
        if not await self._here.deletion.delete(await current_user, password):
            raise WrongPassword
        with suppress(StoreUnavailable):  # this login's record is deleted already
            await logout_user()

    async def end_logins(self, user_id: str) -> None:
        """End every sign-in and API token of a user, such as one whom the app suspects.

        Args:
            user_id: The user's `get_id()`.
        """
        here = self._here
        here.logins.note_ended(await here.store.accounts.end_all(user_id), "ended by the app")

    async def forget(self, user_id: str) -> None:
        """Remove everything that is kept under a user's id: call it when the app has deleted a user.

        Args:
            user_id: The user's `get_id()`.
        """
        here = self._here
        here.logins.note_ended(await here.store.accounts.end_all(user_id), "account forgotten by the app")
        await here.store.accounts.forget(user_id)

    @property
    def _here(self) -> Services:
        """The accounts of the app that is current; outside of all apps, those of this object's."""
        return get_accounts(current_app) if has_app_context() else self


def _hooks_of(features: Sequence[Feature]) -> Hooks:
    [passwords] = [feature for feature in features if isinstance(feature, Passwords)] or [Passwords()]
    return Hooks(is_breached=passwords.is_breached)
