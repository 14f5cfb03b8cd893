"""From a correct password to a login: the app's hooks are asked, then the features, which may ask for one more step.

A sign-in that waits for a step is a separate row, for ten minutes, whose id only this browser's session has. It is no
login, and can be used once: the row is deleted in the transaction that begins the login, which also compares the
account's security stamp with the one at the time of the password. A new sign-in in the same session ends it.

Until the last step is completed, the attempt stays counted as a failure of the account, and so does each wrong step:
an attacker who knows the password gets no more guesses at a code than others get at the password.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from logging import getLogger
from secrets import token_urlsafe
from typing import Final

from quart import session

from quartlogin import login_user, regenerate_session, tracing

from ..audit.log import AuditLog, client_info
from ..database.errors import Conflict
from ..database.interface import Transaction
from ..database.models import Credentials
from ..feature import Feature
from ..features.logins.service import in_login_transaction, signing_in
from ..hooks import Hooks
from ..security import csrf
from ..security.device_cookies import DeviceCookies
from ..security.proofs import PASSWORD, proving
from ..security.rate_limits import Attempt, RateLimits, counter_of_user
from ..store import Store
from ..users.directory import Directory
from .outcomes import ACCOUNT_CHANGED, SIGNED_IN, STEP_REQUIRED, tell_error, tell_outcome, tell_refusal
from .steps import Activity, NoPendingSignIn, Refusal, SignedIn, SignIn, Step, StepRequired
from .table import PendingSignIn

#: Seconds within which every step must be completed.
LIFETIME: Final = 10 * 60
#: The session key of the id of the sign-in that waits for a step.
_PENDING: Final = "_pending_sign_in"
_ID_BYTES: Final = 32

_log = getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A step, and the feature that asks for it."""

    step: Step
    feature: str


@dataclass
class SignInService:
    """Decides whether a user whose password was correct is signed in, and does it."""

    store: Store
    directory: Directory
    features: Sequence[Feature]
    hooks: Hooks
    audit_log: AuditLog
    rate_limits: RateLimits
    device_cookies: DeviceCookies
    #: The app, or the apps, in which a sign-in can be completed.
    audience: str

    async def ask(self, credentials: Credentials, *, remember: bool) -> Refusal | Asked | None:
        """Ask the app's hooks and the features about a user whose password was correct; `None`: sign in.

        Raises:
            HookFailed: A hook failed or timed out.
        """
        if not await self.hooks.lets_in(credentials.user):
            return Refusal("before_sign_in")
        if credentials.completes and not await self.directory.complete(credentials):
            return Refusal("before_sign_in")
        return await self._ask_features(SignIn(credentials.user, credentials.account, remember), ())

    async def hold(self, credentials: Credentials, asked: Asked, *, remember: bool) -> None:
        """Let a sign-in wait for a step.

        Raises:
            StepRequired: Always, unless the account is gone.
        """
        account, expires_at = credentials.account, int(time.time()) + LIFETIME
        new_id = token_urlsafe(_ID_BYTES)
        stamp = account.security_stamp
        new = PendingSignIn(self._hash(new_id), account.user_id, stamp, asked.feature, (), remember, expires_at)
        try:
            await self.store.pending_sign_ins.add(new)
        except Conflict:  # deleted meanwhile
            return
        event = self.audit_log.event("sign_in_step_required", account.user_id, asked.feature)
        await self.audit_log.record(event)
        await self._wait(new_id, asked)

    async def begin(self, sign_in: SignIn, pending: PendingSignIn | None = None) -> SignedIn | None:
        """Sign a user in; `None` if the account was changed meanwhile.

        Args:
            sign_in: The user, with the account as it was read with the credentials.
            pending: The sign-in whose last step is completed, if there was a step.
        """
        account = sign_in.account
        activity = Activity(*await self.store.events.failures_since_last_sign_in(account.user_id))

        async def take(transaction: Transaction) -> None:
            if pending is not None:
                await self.store.pending_sign_ins.take(transaction, pending, int(time.time()))

        proofs = () if pending is None else self._proofs_of((*pending.done, pending.feature))
        using = nullcontext() if pending is None else in_login_transaction(take)
        with signing_in(account), proving(PASSWORD, *proofs), using:
            is_signed_in = await login_user(sign_in.user, remember=sign_in.remember)
        if tracing.listeners:
            tell_outcome(SIGNED_IN if is_signed_in else ACCOUNT_CHANGED, account.user_id)
        if not is_signed_in:
            return None
        self.device_cookies.set(counter_of_user(account.user_id), account.security_stamp)
        await self._tell(sign_in)
        return SignedIn(sign_in.user, account, activity)

    async def drop(self) -> None:
        """End the sign-in of this session that waits for a step, if there is one."""
        if isinstance(pending_id := session.get(_PENDING), str):
            del session[_PENDING]
            await self.store.pending_sign_ins.remove(self._hash(pending_id))

    async def find(self, feature: str) -> SignIn:
        """Return this session's sign-in that waits for a feature's step, for the page of the step.

        Args:
            feature: The name of the feature.

        Raises:
            NoPendingSignIn: There is none.
        """
        return (await self._find(feature))[1]

    async def complete(self, feature: str, check: Callable[[SignIn], Awaitable[bool]]) -> SignedIn | None:
        """Check a step, within the rate limits, and sign the user in.

        Args:
            feature: The name of the feature that has asked for it.
            check: Tells whether what the user did is right. If it raises an error, nothing is counted.

        Returns:
            `None` if it is not right, or if a feature refuses now.

        Raises:
            NoPendingSignIn: This session has no sign-in that waits for this step.
            TooManyAttempts: Too many attempts failed before this one; nothing was checked.
            StepRequired: It is right, and another feature asks for one more step.
        """
        pending, sign_in = await self._find(feature)
        account = sign_in.account
        try:
            attempt, answer = await self._check_step(pending, sign_in, check)
        except Exception as error:
            if tracing.listeners:
                tell_error(error, feature)
            raise
        if isinstance(answer, Refusal):
            event = self.audit_log.event("sign_in_failed", account.user_id)
            await self.audit_log.record(event, reason=answer.reason)
            if tracing.listeners:
                tell_refusal(answer.reason, account.user_id, feature)
            return None
        if isinstance(answer, Asked):
            await self.rate_limits.keep_counted(attempt)
            await self._hold_again(pending, answer)
        signed_in = await self.begin(sign_in, pending)
        if signed_in is None:  # another request has completed it, or the account was changed
            await self.rate_limits.refund(attempt)
            raise NoPendingSignIn
        session.pop(_PENDING, None)
        await self.rate_limits.succeeded(attempt)
        return signed_in

    async def _find(self, feature: str) -> tuple[PendingSignIn, SignIn]:
        pending_id, now = session.get(_PENDING), int(time.time())
        pending = None
        if isinstance(pending_id, str):
            pending = await self.store.pending_sign_ins.find(self._hash(pending_id), now)
        if pending is None or pending.feature != feature:
            raise NoPendingSignIn
        found = await self.directory.credentials_of(pending.user_id)
        if (
            found is None
            or not found.is_active
            or found.has_expired(now)
            or found.account.security_stamp != pending.security_stamp
        ):
            raise NoPendingSignIn
        return pending, SignIn(found.user, found.account, pending.is_remembered)

    async def _check_step(
        self, pending: PendingSignIn, sign_in: SignIn, check: Callable[[SignIn], Awaitable[bool]]
    ) -> tuple[Attempt, Refusal | Asked | None]:
        """Count an attempt at a step, check it, and ask the features again; an error uncounts it."""
        account = sign_in.account
        device = self.device_cookies.find(counter_of_user(account.user_id), account.security_stamp)
        attempt = await self.rate_limits.count_step(account.user_id, device, client_info()[0])
        try:
            is_right = await check(sign_in)
            wrong = Refusal(f"step {pending.feature}")
            return attempt, await self._after_step(pending, sign_in) if is_right else wrong
        except Exception:
            await self.rate_limits.refund(attempt)
            raise

    def _proofs_of(self, done: Sequence[str]) -> list[str]:
        return [proof for feature in self.features if feature.name in done for proof in feature.proofs]

    async def _after_step(self, pending: PendingSignIn, sign_in: SignIn) -> Refusal | Asked | None:
        if not await self.hooks.lets_in(sign_in.user):  # minutes may have passed since the password
            return Refusal("before_sign_in")
        return await self._ask_features(sign_in, (*pending.done, pending.feature))

    async def _ask_features(self, sign_in: SignIn, done: Sequence[str]) -> Refusal | Asked | None:
        """Ask each feature whose step is not completed; the first that does not agree decides."""
        for feature in self.features:
            answer = None if feature.name in done else await feature.before_sign_in(sign_in)
            if answer is not None:
                return Asked(answer, feature.name) if isinstance(answer, Step) else answer
        return None

    async def _hold_again(self, pending: PendingSignIn, asked: Asked) -> None:
        new_id, done = token_urlsafe(_ID_BYTES), (*pending.done, pending.feature)
        new = replace(pending, id_hash=self._hash(new_id), feature=asked.feature, done=done)
        try:
            await self.store.pending_sign_ins.replace(pending, new, int(time.time()))
        except Conflict:
            raise NoPendingSignIn from None
        await self._wait(new_id, asked)

    @staticmethod
    async def _wait(pending_id: str, asked: Asked) -> None:
        await regenerate_session()
        csrf.forget_visitor()
        session[_PENDING] = pending_id
        if tracing.listeners:
            tell_outcome(STEP_REQUIRED, feature=asked.feature)
        raise StepRequired(f"accounts.{asked.step.endpoint}")

    async def _tell(self, sign_in: SignIn) -> None:
        await self.hooks.tell(self.hooks.after_sign_in, sign_in.user)
        for feature in self.features:
            try:
                await feature.after_sign_in(sign_in)
            except Exception:  # what has happened stays
                _log.exception(
                    "The feature %s failed after a sign-in of user %s.", feature.name, sign_in.account.user_id
                )

    def _hash(self, pending_id: str) -> str:
        """Return the hash under which a pending sign-in of this audience is stored; its id is random."""
        return hmac.digest(self.audience.encode(), pending_id.encode("utf-8", "replace"), "sha256").hex()
