"""Who has an account: registering, checking a name and a password, changing it, leaving."""

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from logging import getLogger
from secrets import token_urlsafe
from typing import Final

from quartlogin import confirm_login

from ...audit.log import AuditLog, client_info
from ...database.errors import LoginEnded, UsernameTaken
from ...database.interface import Transaction
from ...database.models import ActingLogin, Credentials, NewUser, User
from ...hooks import Hooks, SecondStepFailed
from ...security.attempt_counters import counter_of_user
from ...security.device_cookies import DeviceCookies
from ...security.rate_limits import Attempt, RateLimits, TooManyAttempts
from ...store import Store
from ...usernames import display_name, normalize_username
from ..logins.alongside import alongside
from ..logins.service import LoginStore
from .hashing import Overloaded, PasswordHashing
from .policy import is_same

_log = getLogger(__name__)

_USER_ID_BYTES: Final = 16  # 128 bits, which makes 22 characters
_NAME_HASH: Final = 16  # characters of hex


class BreachedPassword(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """The new password is known from a breach; nothing was changed."""


class SamePassword(Exception):  # noqa: N818 -- as above
    """The new password is the old one, which has to be changed; nothing was changed."""


@dataclass(frozen=True)
class Accounts:
    """The users of the application: the rules over the store and the password hashes."""

    store: Store
    passwords: PasswordHashing
    logins: LoginStore
    audit_log: AuditLog
    rate_limits: RateLimits
    device_cookies: DeviceCookies
    hooks: Hooks
    #: Hashes what was typed as an unknown name for the operator's log: it may be a password.
    log_key: bytes

    async def authenticate(self, username: str, password: str) -> User | None:
        """Return the user whom this name and password belong to; `None` for whatever is wrong with them.

        Unknown and disabled users cost what a wrong password costs: the same questions to the database, one hash with
        parameters that are in use, and one event. What the second step refuses counts as a failure, too: it is not to
        be guessed either.

        Raises:
            TooManyAttempts: Too many have failed before; the password was not looked at.
            Overloaded: Too many are being checked; it was not looked at, and not counted.
            SecondStepFailed: The password was right; whether that is enough could not be found out, and is not counted.
        """
        key = normalize_username(username)
        credentials = await self.store.users.find_credentials(key or "")
        name = username if key is None else key  # one counter and one cost for all spellings, as accounts have
        name_hash = self._hash_of_name(name)
        user = None if credentials is None else credentials.user
        device = self.device_cookies.find(
            "" if user is None else counter_of_user(user.id), 0 if user is None else user.security_stamp
        )
        with self._telling_of_refusal(name_hash=name_hash):
            attempt = await self.rate_limits.count_sign_in(
                None if user is None else user.id, name_hash, device, client_info()[0]
            )
        async with self._place_for(attempt):
            if credentials is None:
                await self.passwords.check(None, password, whose=name)
                reason = "unknown name"
            else:
                reason = await self._failure_reason(credentials, password)
        if credentials is not None and not reason:
            try:
                is_let_in = await self.hooks.lets_in(credentials.user)
            except SecondStepFailed:
                await self.rate_limits.refund(attempt)
                raise
            if is_let_in:
                await self.rate_limits.succeeded(attempt)
                return credentials.user
            reason = "second step"
        event = self.audit_log.event("sign_in_failed", None if credentials is None else credentials.user.id)
        await self.audit_log.record(event, name_hash=name_hash, reason=reason)
        return None

    def set_device_cookie(self, user: User) -> None:
        """Have it kept that this request's browser has signed in to this account with its present password."""
        self.device_cookies.set(counter_of_user(user.id), user.security_stamp)

    async def validate_registration(self, username: str, password: str) -> NewUser:
        """Make what `registering` adds. The name and the password have passed the form's rules.

        Raises:
            TooManyAttempts: Too many have been made from this address.
            UsernameTaken: Somebody has this name, or one with the same key.
            BreachedPassword: The password is known from a breach.
            ValueError: The name is not one.
        """
        key = normalize_username(username)
        if key is None:
            raise ValueError("This is not a name that an account may have.")
        with self._telling_of_refusal():
            attempt = await self.rate_limits.count_registration(client_info()[0])
        async with self._place_for(attempt):
            pass  # from here on the attempt counts: its answer tells whether the name is taken
        if await self.store.users.find_credentials(key) is not None:
            raise UsernameTaken  # before the hash, which is the costly part
        user = User(id=token_urlsafe(_USER_ID_BYTES), username=display_name(username))
        return NewUser(user, key, await self._hash_of_new(password))

    async def register(self, new: NewUser, sign_in: Callable[[User], Awaitable[object]]) -> None:
        """Add an account and sign in to it: both, or neither.

        Args:
            new: From `prepare`.
            sign_in: Called with the user.

        Raises:
            UsernameTaken: Somebody was quicker.
        """
        event = self.audit_log.event("registered", new.user.id)

        async def add(transaction: Transaction) -> None:
            await self.store.users.insert(transaction, new, event.happened_at)
            await self.store.events.insert(transaction, event)

        with alongside(add, event):
            await sign_in(new.user)

    async def verify_current_password(self, user: User, password: str, failure: str) -> Credentials | None:
        """Return the credentials of a signed-in user if this is the password.

        Args:
            user: Who it is.
            password: What was typed.
            failure: The kind of event that is told if it is not.

        Raises:
            LoginEnded: This request's login has ended.
            TooManyAttempts: Too many have failed before; the password was not looked at.
        """
        by = self._acting(user)
        credentials = await self.store.users.find_credentials_of(by)  # first: an ended login is told nothing
        if credentials is None:
            raise LoginEnded("This login has ended.")
        with self._telling_of_refusal():
            attempt = await self.rate_limits.count_reauthentication(user.id, user.login_public_id)
        async with self._place_for(attempt):
            is_right = await self._is_right(credentials, password)
        if is_right:
            await self.rate_limits.succeeded(attempt)
            return credentials
        await self.audit_log.record(self.audit_log.event(failure, user.id), by)
        return None

    async def change_password(self, user: User, current: str, new: str) -> bool:
        """Change a signed-in user's password; all other sign-ins end, and this one goes on under a new id.

        Returns:
            False if `current` is not the password.

        Raises:
            LoginEnded: This request's login has ended, as with a change of the password elsewhere; nothing was changed.
            BreachedPassword: `new` is known from a breach.
            SamePassword: `new` is the password that has to be changed.
        """
        credentials = await self.verify_current_password(user, current, "password_change_failed")
        if credentials is None:
            return False
        if user.must_change_password and is_same(current, new):
            raise SamePassword
        new_hash = await self._hash_of_new(new)
        event = self.audit_log.event("password_changed", user.id)
        ended: list[str] = []
        new_stamp = user.security_stamp

        async def change(transaction: Transaction) -> None:
            nonlocal new_stamp
            old, this = credentials.user.security_stamp, self._acting(user).id_hash
            ended[:] = await self.store.logins.revoke_others(transaction, user.id, this, self.logins.present())
            security_stamp = await self.store.users.change_password(
                transaction, user.id, old, new_hash, event.happened_at
            )
            if security_stamp is None:
                raise LoginEnded("The password was changed meanwhile.")
            new_stamp = security_stamp
            await self.store.logins.carry_over(transaction, user.id, old, security_stamp)
            await self.store.events.insert(transaction, event)

        with alongside(change, event):
            await confirm_login()
        self.set_device_cookie(replace(user, security_stamp=new_stamp))
        self.logins.close_sockets(ended)
        await self.hooks.tell_password_changed(user, event.address)
        return True

    async def delete(self, user: User, password: str) -> bool:
        """Delete a signed-in user's account with all that belongs to it; False if this is not the password.

        Raises:
            LoginEnded: This request's login has ended, as with the account; nothing was changed.
        """
        credentials = await self.verify_current_password(user, password, "account_deletion_failed")
        if credentials is None:
            return False
        ended = await self.store.users.delete(user.id, credentials.user.security_stamp, self._acting(user))
        if ended is None:
            raise LoginEnded("The password was changed meanwhile.")
        self.audit_log.emit(self.audit_log.event("account_deleted", user.id))
        self.logins.close_sockets(ended)
        return True

    def _acting(self, user: User) -> ActingLogin:
        by = self.logins.acting(user.id)
        if by is None:
            raise LoginEnded("Nobody is signed in outside of a request.")
        return by

    async def _hash_of_new(self, password: str) -> str:
        """Hash a password that somebody chooses; whoever is asked about it keeps nobody else waiting."""
        if await self.hooks.refuses(password):
            raise BreachedPassword
        with self.passwords.reserve_slot():
            return await self.passwords.hash(password)

    async def _failure_reason(self, credentials: Credentials, password: str) -> str:
        """Say for the operator's log why somebody cannot sign in with this password; nothing if nothing is wrong."""
        if not await self._is_right(credentials, password):
            return "wrong password"
        if not credentials.is_active:
            return "disabled"
        return "temporary password used or expired" if credentials.has_expired(int(time.time())) else ""

    async def _is_right(self, credentials: Credentials, password: str) -> bool:
        """Compare a password; a hash with outdated parameters is renewed when it is the right one."""
        verdict = await self.passwords.check(
            credentials.password_hash,
            password,
            whose=credentials.user.id,
            renew=credentials.is_active and not credentials.has_expired(int(time.time())),
        )
        if verdict.new_hash is not None:
            await self.store.users.replace_password_hash(
                credentials.user.id, credentials.password_hash, verdict.new_hash
            )
            _log.info("The password hash of user %s was renewed with today's parameters.", credentials.user.id)
        return verdict.is_right

    @asynccontextmanager
    async def _place_for(self, attempt: Attempt) -> AsyncIterator[None]:
        """Hold a place for hashing while an attempt is looked at that the limits have let through.

        In this order, or whoever is refused would keep others out: admission first, then what is scarce.

        Raises:
            Overloaded: There is none; the attempt was none, and is taken back.
        """
        try:
            with self.passwords.reserve_slot():
                yield
        except Overloaded:
            await self.rate_limits.refund(attempt)
            raise

    @contextmanager
    def _telling_of_refusal(self, **more: str) -> Iterator[None]:
        """Log an attempt that comes too early; it is not kept, or whoever hammers would fill the database."""
        try:
            yield
        except TooManyAttempts:
            self.audit_log.emit(self.audit_log.event("rate_limited"), **more)
            raise

    def _hash_of_name(self, username: str) -> str:
        return hmac.new(self.log_key, username.encode("utf-8", "replace"), "sha256").hexdigest()[:_NAME_HASH]
