"""Password authentication: checking a username and a password, confirming and changing the password."""

import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Final, NamedTuple
from unicodedata import is_normalized

from quartlogin import confirm_login, tracing

from ...audit.log import AuditLog, client_info
from ...context import current_login
from ...database.errors import LoginEnded
from ...database.interface import Transaction
from ...database.models import Account, AccountLogin, ActingLogin, Credentials, User
from ...hooks import Hooks
from ...security.device_cookies import DeviceCookies
from ...security.proofs import PASSWORD, proving
from ...security.rate_limits import Attempt, RateLimits, counter_of_user
from ...sign_in.outcomes import tell_error, tell_refusal
from ...sign_in.service import Asked, SignInService
from ...sign_in.steps import SignedIn, SignIn
from ...store import Store
from ...users.directory import Directory
from ..logins.service import LoginStore, in_login_transaction
from .hashing import Overloaded, PasswordHashing, VerifyResult
from .policy import is_same

_log = getLogger(__name__)

_NAME_HASH: Final = 16  # characters of hex


class BreachedPassword(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """The new password appears in a data breach; nothing was changed."""


class WrongCredentials(Exception):  # noqa: N818 -- as above
    """The name or the password is wrong, or the user may not sign in: which of these is not disclosed."""


class WrongPassword(Exception):  # noqa: N818 -- as above
    """The signed-in user's password is wrong; nothing was changed."""


class SamePassword(Exception):  # noqa: N818 -- as above
    """The new password is the old one, which must be changed; nothing was changed."""


class Authenticated(NamedTuple):
    """A user whose password was correct, and the step that is to be completed before the login begins, if any."""

    credentials: Credentials
    asked: Asked | None


@dataclass
class PasswordService:
    """Checks passwords against the stored hashes, within the rate limits, and changes them."""

    store: Store
    directory: Directory
    hashing: PasswordHashing
    logins: LoginStore
    audit_log: AuditLog
    rate_limits: RateLimits
    device_cookies: DeviceCookies
    hooks: Hooks
    sign_ins: SignInService
    #: Hashes the username for the audit log: it may be a password that was entered in the wrong field.
    log_key: bytes
    #: Returns the text that the app's old hashes were computed from, if that is not the password.
    old_pepper: Callable[[str], str] | None = None

    async def authenticate(self, username: str, password: str, *, remember: bool = False) -> Authenticated | None:
        """Return the credentials of this username and password; `None` if they are wrong, for whatever reason.

        Unknown and disabled users cost as much as a wrong password: the same queries, one hash with parameters that are
        in use, and one event. A sign-in that `before_sign_in` refuses counts as a failure too, so that what it checks
        cannot be guessed.

        Raises:
            TooManyAttempts: Too many attempts failed before this one; the password was not checked.
            Overloaded: Too many passwords are being checked; this one was not, and is not counted.
            HookFailed: The password is correct; whether that suffices is unknown, and nothing is counted.
        """
        key = self.directory.normalize(username)
        credentials = await self.directory.find_credentials(key or "")
        name = username if key is None else key  # all spellings share a counter and a cost, as in an account
        name_hash = self._hash_of_name(name)
        # What is counted and recorded for a user refers to the account, which an interrupted registration has not.
        has_account = credentials is not None and credentials.has_account
        user_id = credentials.account.user_id if credentials is not None and has_account else None
        device = self.device_cookies.find(
            "" if user_id is None else counter_of_user(user_id),
            0 if credentials is None else credentials.account.security_stamp,
        )
        address, _ = client_info()
        attempt = await self.rate_limits.count_sign_in(user_id, name_hash, device, address)
        async with self.reserved_slot(attempt):
            if credentials is None:
                await self.hashing.check(None, password, cost_key=name)
                reason = "unknown name"
            else:
                reason = await self._failure_reason(credentials, password)
        if credentials is not None and not reason:
            try:
                answer = await self.sign_ins.ask(credentials, remember=remember)
            except Exception:
                await self.rate_limits.refund(attempt)
                raise
            if answer is None:
                await self.rate_limits.succeeded(attempt)
                return Authenticated(credentials, None)
            if isinstance(answer, Asked):
                await self.rate_limits.keep_counted(attempt)
                return Authenticated(credentials, answer)
            reason = answer.reason
        event = self.audit_log.event("sign_in_failed", user_id)
        await self.audit_log.record(event, name_hash=name_hash, reason=reason)
        if tracing.listeners:
            tell_refusal(reason, user_id)
        return None

    async def sign_in(self, name: str, password: str, *, remember: bool = False) -> SignedIn | None:
        """Check a name and a password, and sign the user in; `None` if they are wrong, for whatever reason.

        Raises:
            StepRequired: They are correct, and a feature asks for one more step.
            TooManyAttempts, Overloaded, HookFailed: As `authenticate`.
        """
        await self.sign_ins.drop()
        try:
            found = await self.authenticate(name, password, remember=remember)
        except Exception as error:
            if tracing.listeners:
                tell_error(error)
            raise
        if found is None:
            return None
        credentials, asked = found
        if asked is not None:
            await self.sign_ins.hold(credentials, asked, remember=remember)
            return None
        return await self.sign_ins.begin(SignIn(credentials.user, credentials.account, remember))

    def set_device_cookie(self, account: Account) -> None:
        """Remember that this browser has signed in to the account with its current password."""
        self.device_cookies.set(counter_of_user(account.user_id), account.security_stamp)

    async def verify_current_password(self, user: User, password: str, failure: str) -> Credentials | None:
        """Return the credentials of a signed-in user if the password is correct.

        Args:
            user: The user.
            password: As entered.
            failure: The kind of event to record if it is wrong.

        Raises:
            LoginEnded: This request's login has ended.
            TooManyAttempts: Too many attempts failed before this one; the password was not checked.
        """
        login = await self.current_login()
        by = self.acting_login(login)
        credentials = await self.store.passwords.find_of(user, by)  # first: a login that has ended learns nothing
        if credentials is None:
            raise LoginEnded("This login has ended.")
        credentials = await self.directory.with_old_hash(credentials)
        attempt = await self.rate_limits.count_reauthentication(login.user_id, login.public_id)
        async with self.reserved_slot(attempt):
            is_correct = await self._is_correct(credentials, password)
        if is_correct:
            await self.rate_limits.succeeded(attempt)
            return credentials
        await self.audit_log.record(self.audit_log.event(failure, login.user_id), by)
        return None

    async def change_password(self, user: User, current: str, new: str) -> bool:
        """Change a signed-in user's password; all other logins end, and this one continues under a new id.

        Returns:
            False if `current` is not the password.

        Raises:
            LoginEnded: This request's login has ended, as after a password change elsewhere; nothing was changed.
            BreachedPassword: `new` appears in a data breach.
            SamePassword: `new` is the password that must be changed.
        """
        credentials = await self.verify_current_password(user, current, "password_change_failed")
        if credentials is None:
            return False
        login, account = await self.current_login(), credentials.account
        if login.must_change_password and is_same(current, new):
            raise SamePassword
        new_hash = await self.hash_new_password(new)
        user_id = account.user_id
        event = self.audit_log.event("password_changed", user_id)
        ended: list[str] = []
        new_stamp = account.security_stamp

        async def change(transaction: Transaction) -> None:
            nonlocal new_stamp
            old, this = account.security_stamp, self.acting_login(login).id_hash
            ended[:] = await self.store.logins.revoke_others(transaction, user_id, this, self.logins.present())
            stamp = await self.store.passwords.change(transaction, user_id, old, new_hash, event.happened_at)
            if stamp is None:
                raise LoginEnded("Another request has changed the password.")
            new_stamp = stamp
            await self.store.logins.carry_over(transaction, user_id, old, stamp)
            await self.store.events.insert(transaction, event)

        with in_login_transaction(change, event), proving(PASSWORD):
            await confirm_login()
        self.set_device_cookie(replace(account, security_stamp=new_stamp))
        self.logins.note_ended(ended, "password changed")
        await self.hooks.tell(self.hooks.after_password_change, user)
        return True

    async def hash_new_password(self, password: str) -> str:
        """Hash a password that a user has chosen.

        Raises:
            BreachedPassword: It appears in a data breach.
            Overloaded: Too many passwords are being checked or hashed.
        """
        if await self.hooks.refuses(password):  # before a slot is taken: the answer may take seconds
            raise BreachedPassword
        with self.hashing.reserve_slot():
            return await self.hashing.hash(password)

    async def current_login(self) -> AccountLogin:
        """Return this request's login.

        Raises:
            LoginEnded: There is none.
        """
        login = await current_login()
        if login is None:
            raise LoginEnded("This request is not signed in.")
        return login

    def acting_login(self, login: AccountLogin) -> ActingLogin:
        """Return this request's login as one that must still be active when its change is written.

        Raises:
            LoginEnded: There is none.
        """
        by = self.logins.acting(login.user_id)
        if by is None:
            raise LoginEnded("There is no login outside of a request.")
        return by

    @asynccontextmanager
    async def reserved_slot(self, attempt: Attempt) -> AsyncIterator[None]:
        """Reserve a slot for hashing while an attempt is checked.

        Call it after the rate limits have admitted the attempt: slots are scarce, and rejected attempts must not use
        them up.

        Raises:
            Overloaded: There is no free slot; the attempt is refunded.
        """
        try:
            with self.hashing.reserve_slot():
                yield
        except Overloaded:
            await self.rate_limits.refund(attempt)
            raise

    async def _failure_reason(self, credentials: Credentials, password: str) -> str:
        """Return the reason for the audit log why this password is rejected; empty if it is accepted."""
        if not await self._is_correct(credentials, password):
            return "wrong password"
        if not credentials.is_active:
            return "disabled"
        return "temporary password used or expired" if credentials.has_expired(int(time.time())) else ""

    async def _is_correct(self, credentials: Credentials, password: str) -> bool:
        """Compare a password; if it is correct and its hash has outdated parameters, store a new hash."""
        result = await self.hashing.check(
            credentials.password_hash,
            password,
            cost_key=credentials.account.user_id,
            renew=credentials.is_active and not credentials.has_expired(int(time.time())),
            as_typed=credentials.is_apps_hash,
            pepper=self.old_pepper if credentials.is_apps_hash else None,
        )
        if credentials.is_apps_hash and result.is_right and credentials.is_active:
            await self.directory.adopt(credentials, await self._own_hash(credentials, password, result))
        elif result.new_hash is not None:
            user_id = credentials.account.user_id
            await self.store.passwords.replace_hash(user_id, credentials.password_hash or "", result.new_hash)
            _log.info("Rehashed the password of user %s with the current parameters.", user_id)
        return result.is_right

    async def _own_hash(self, credentials: Credentials, password: str, result: VerifyResult) -> str:
        """Return our hash of a password that was compared with the app's."""
        is_ours = self.old_pepper is None and is_normalized("NFC", password)
        kept = result.new_hash or (credentials.password_hash if is_ours else None)
        return kept or await self.hashing.hash(password)

    def _hash_of_name(self, username: str) -> str:
        return hmac.new(self.log_key, username.encode("utf-8", "replace"), "sha256").hexdigest()[:_NAME_HASH]
