"""The login records: starting, renewing and ending logins, and what happens in the same transaction."""

import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex
from typing import Final

from quart import has_request_context, has_websocket_context

from quartlogin import Login, LoginManager, LoginRefused, hash_of_secret, login_id, tracing

from ...audit.log import AuditLog, client_info
from ...audit.login_steps import tell_ended
from ...context import keep_login, keep_proofs, kept_requirements, loaded_login
from ...database.errors import Conflict, LoginEnded
from ...database.interface import Transaction
from ...database.locking import lock_for
from ...database.models import Account, ActingLogin, Event, Kind, LoginRow, Moment, NewLogin, RememberedLogin, User
from ...security.proofs import APP, Proofs, proved_now
from ...store import Store
from .remember_rotation import RememberTokens
from .user_loader import digest

_PUBLIC_ID_BYTES: Final = 8
_PUBLIC_ID: Final = re.compile(r"[0-9a-f]{16}")  # as created below; nothing else is queried

#: Seconds within which a login's returns by remember cookie are recorded once.
_RESUMED_EVERY: Final = 60

#: API tokens of one user.
MAX_TOKENS: Final = 50

# The extension begins and renews logins, and knows nothing of accounts: what belongs to the same transaction, such as
# adding the account, is passed in context variables.

Work = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True)
class JoinedWork:
    """Work in the transaction of a login, and the event that it records, if any."""

    work: Work
    event: Event | None


#: The account of the login that begins now, as it was when its credentials were read.
_account: Final[ContextVar[Account | None]] = ContextVar("quartlogin_account_signing_in", default=None)
_joined: Final[ContextVar[JoinedWork | None]] = ContextVar("quartlogin_joined_work", default=None)


class TooManyTokens(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """The user already has `MAX_TOKENS` API tokens; none was created."""


@contextmanager
def in_login_transaction(work: Work, event: Event | None = None) -> Iterator[None]:
    """Do work in the transaction of the login that begins or is renewed in this block: both happen, or neither.

    Args:
        work: Called with the transaction before the login is written. `login_user` and `confirm_login` raise what it
            raises.
        event: Emitted once the transaction is committed, if any.
    """
    token = _joined.set(JoinedWork(work, event))
    try:
        yield
    finally:
        _joined.reset(token)


@contextmanager
def signing_in(account: Account) -> Iterator[None]:
    """Let `login_user` begin a login only if the account is still as it was when the credentials were read."""
    token = _account.set(account)
    try:
        yield
    finally:
        _account.reset(token)


class LoginStore:
    """The record of logins, as `quartlogin.LoginRecords` defines it, with queries and revocation.

    Args:
        store: The database.
        audit_log: Where their start and end are recorded.
        manager: The login manager, whose websockets are closed when their login ends.
        audience: The app, or the apps, whose logins these are.
        idle: How long an unused sign-in stays active.
        lifetime: How long a sign-in stays active at most.
        per_user: How many sign-ins of a user may be active.
        adds_accounts: Whether a user whom the app signs in by itself gets an account then.
    """

    def __init__(  # noqa: PLR0913 -- most of them by name
        self,
        store: Store,
        audit_log: AuditLog,
        manager: LoginManager[User],
        *,
        audience: str,
        idle: timedelta,
        lifetime: timedelta,
        per_user: int,
        adds_accounts: bool = False,
    ) -> None:
        self._adds_accounts = adds_accounts
        self._audience = audience
        self._store = store
        self._audit_log = audit_log
        self._sockets = manager.sockets
        self._idle = int(idle.total_seconds())
        self._lifetime = int(lifetime.total_seconds())
        self._per_user = per_user

    def acting(self, user_id: str) -> ActingLogin | None:
        """Return the login on whose behalf this request changes an account; it is checked when the change is written.

        Args:
            user_id: The account's user.

        Returns:
            `None` outside of requests, for the operator.

        Raises:
            LoginEnded: The request is not signed in.
        """
        if not (has_request_context() or has_websocket_context()):
            return None
        login = login_id()
        if login is None:
            raise LoginEnded("This request is not signed in.")
        return ActingLogin(self.hash_of(login), user_id, self._idle, kept_requirements())

    def hash_of(self, login_id: str) -> str:
        """Return the hash under which a login of this audience is stored."""
        return digest(login_id, self._audience)

    def present(self) -> Moment:
        """Return the current time, by which logins are active or not."""
        return Moment.present(self._idle)

    # --- called by the extension

    def fresh_since(self) -> int | None:
        """Return when something was last proved in the login of this request, which the user loader has kept."""
        login = loaded_login()
        return None if login is None else Proofs.read(login.proofs).latest_at

    async def login_began(self, login: Login) -> None:
        """Store a new login, together with the work that belongs to its transaction."""
        now, user_id, account = int(time.time()), login.user_id, _account_signing_in()
        new = self._row(login, account, now)
        is_token = login.kind == "bearer"
        # Only for a token: a sign-in comes with a password, whose security stamp is compared.
        by = self.acting(user_id) if is_token else None
        event = self._audit_log.event(
            "token_created" if is_token else "signed_in", login.user_id, login.name if is_token else new.public_id
        )
        joined = _take_joined_work()
        evicted: list[tuple[LoginRow, Event]] = []

        async def work(transaction: Transaction) -> None:
            if joined is not None:
                await joined.work(transaction)  # such as a new account, which no one else can change
            elif self._adds_accounts and not is_token and account is None:
                await self._store.accounts.ensure(transaction, user_id, now)
            await lock_for(transaction, user_id, by)
            if not is_token and account is not None and account.must_change_password:
                await self._store.passwords.use_up_temporary(transaction, user_id, now)
            if is_token and await self._has_max_tokens(transaction, user_id):
                raise TooManyTokens
            await self._store.logins.insert(transaction, new)
            await self._store.events.insert(transaction, event)
            if not is_token:
                ended = await self._store.logins.evict_oldest(transaction, new, self._per_user)
                evicted[:] = [
                    (row, self._audit_log.event("login_evicted", login.user_id, row.public_id)) for row in ended
                ]
                for _, eviction in evicted:
                    await self._store.events.insert(transaction, eviction)

        try:
            await self._store.database.transaction(work)
        except Conflict:  # the account has been changed meanwhile, or its temporary password used
            raise LoginRefused(login.user_id) from None
        if not is_token:
            keep_login(None)  # the next access loads the new one
        self._emit(joined, event, *(eviction for _, eviction in evicted))
        self.note_ended([row.id_hash for row, _ in evicted], "too many sign-ins of the user")

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        """Check the secret of a remember cookie, and replace it; a used-up secret ends the login."""
        secret, id_hash = hash_of_secret(login.secret or ""), self.hash_of(login.id)
        while True:
            at = self.present()
            now = at.now
            found = await self._store.logins.find_remembered(id_hash, at)
            if found is None:
                keep_login(None)
                raise LoginRefused("This login has ended.")
            secrets = RememberTokens.read(found.secrets, now)
            if not secrets.is_valid(secret):
                await self._end_reused(login.id, found)
                keep_login(None)
                raise LoginRefused("A copy of this login's cookie was used.")
            replaced = new_secret and secrets.after_replacing(secret, hash_of_secret(new_secret), now)
            if not replaced:
                return False
            is_recorded = now - found.resumed_at >= _RESUMED_EVERY
            event = self._audit_log.event("login_resumed", found.user_id, found.public_id) if is_recorded else None
            # No proof lasts longer than the browser was open.
            if await self._store.logins.replace_secrets(
                id_hash, found.secrets, replaced.write(), at, event=event, proofs=""
            ):
                if event is not None:
                    self._audit_log.emit(event)
                return True

    async def login_renewed(self, old_id: str, login: Login) -> None:
        """Continue a login under a new id, after the password was entered again."""
        this = loaded_login()
        row = self._row(login, None, int(time.time()))
        by = ActingLogin(self.hash_of(old_id), login.user_id, self._idle, kept_requirements())
        joined = _take_joined_work()
        event = self._audit_log.event("reauthenticated", login.user_id, None if this is None else this.public_id)

        async def work(transaction: Transaction) -> str:
            earlier = await lock_for(transaction, login.user_id, by)
            if joined is not None:
                await joined.work(transaction)
            if joined is None:
                await self._store.events.insert(transaction, event)
            new = replace(row, proofs=Proofs.read(earlier).after(_proved_in(login), row.made_at).write())
            if await self._store.logins.renew(transaction, by.id_hash, new, self.present()) is None:
                raise LoginEnded("This login has ended.")
            return new.proofs

        keep_proofs(await self._store.database.transaction(work))
        self._emit(joined, *([event] if joined is None else []))

    async def login_ended(self, login_id: str) -> None:
        """End a login, when its user signs out."""
        event = self._audit_log.event("signed_out")
        stored = await self._store.logins.end(self.hash_of(login_id), event)
        if stored is not None:
            self._audit_log.emit(stored)

    # --- called by the account page and the commands

    async def list_of(self, user_id: str) -> list[LoginRow]:
        """List a user's active sign-ins and API tokens, most recently used first."""
        return await self._store.logins.list_of(user_id, self.present())

    async def revoke(self, user_id: str, public_id: str, kind: Kind = "session") -> LoginRow | None:
        """End one of a user's sign-ins or API tokens.

        Returns:
            The login; `None` if this user has none with this public id.

        Raises:
            LoginEnded: This request's login has ended.
        """
        if not _PUBLIC_ID.fullmatch(public_id):
            return None
        by = self.acting(user_id)
        event = self._audit_log.event("login_revoked" if kind == "session" else "token_revoked", user_id)
        ended = await self._store.logins.end_by_public_id(user_id, public_id, kind, event, by)
        if ended is None:
            return None
        self._audit_log.emit(replace(event, subject=ended.subject))
        self.note_ended([ended.id_hash], _revoked_by(by))
        return ended

    async def revoke_others(self, user_id: str) -> int:
        """End a user's sign-ins except this request's, and return their number.

        Raises:
            LoginEnded: This request's login has ended.
        """
        by = self.acting(user_id)
        event = self._audit_log.event("logins_revoked", user_id)
        ended = await self._store.logins.end_sessions(user_id, event, self.present(), by)
        count = sum(ended.values())
        if count:
            self._audit_log.emit(event)
        self.note_ended([*ended], _revoked_by(by))
        return count

    async def revoke_all(self) -> int:
        """End every sign-in and API token of every user, and return their number."""
        count = await self._store.logins.revoke_all()
        await self._audit_log.record(self._audit_log.event("all_logins_revoked"))
        self._sockets.close_where(lambda _: True)
        if tracing.listeners:
            tracing.tell("login_ended", record="all", reason=_revoked_by(None))
        return count

    def note_ended(self, ended: list[str], reason: str) -> None:
        """Tell that logins with these hashes have ended, and close their websockets."""
        if tracing.listeners:
            tell_ended(ended, reason)
        self.close_sockets(ended)

    def close_sockets(self, ended: list[str]) -> None:
        """Close the websockets of this process that belong to logins with these hashes."""
        gone = frozenset(ended)
        self._sockets.close_where(lambda login: self.hash_of(login) in gone)

    async def _has_max_tokens(self, transaction: Transaction, user_id: str) -> bool:
        return await self._store.logins.count(transaction, user_id, "bearer", self.present()) >= MAX_TOKENS

    async def _end_reused(self, login: str, found: RememberedLogin) -> None:
        event = self._audit_log.event("token_reuse_detected", found.user_id, found.public_id)
        if await self._store.logins.revoke_reused(self.hash_of(login), event):
            self._audit_log.emit(event)
            self._sockets.close(login)
            if tracing.listeners:
                reason = "a copy of its remember cookie was used"
                tracing.tell("login_ended", login=tracing.label_of(login), reason=reason)

    def _row(self, login: Login, account: Account | None, now: int) -> NewLogin:
        address, browser = client_info()
        if login.kind == "bearer" and login.expires_at is not None:
            expires_at = login.expires_at
        else:
            expires_at = now + self._lifetime
        return NewLogin(
            id_hash=self.hash_of(login.id),
            public_id=token_hex(_PUBLIC_ID_BYTES),
            user_id=login.user_id,
            kind=login.kind,
            security_stamp=None if account is None else account.security_stamp,
            name=login.name,
            secrets="" if login.secret is None else RememberTokens.first(hash_of_secret(login.secret), now).write(),
            made_at=now,
            expires_at=expires_at,
            address=address,
            browser=browser,
            proofs=Proofs({}).after(_proved_in(login), now).write(),
        )

    def _emit(self, joined: JoinedWork | None, *events: Event) -> None:
        for event in ([] if joined is None or joined.event is None else [joined.event]) + [*events]:
            self._audit_log.emit(event)


def _account_signing_in() -> Account | None:
    """Return the account whose login begins now; `None` if the app signs a user in by itself."""
    return _account.get()


def _take_joined_work() -> JoinedWork | None:
    """Return the work that belongs to the login that begins or is renewed now, once.

    Receivers of `user_logged_in` may begin another login, such as an API token, in the same block.
    """
    joined = _joined.get()
    _joined.set(None)
    return joined


def _proved_in(login: Login) -> tuple[str, ...]:
    """Return what is proved in a login that begins or is renewed now."""
    if not login.is_fresh:
        return ()
    return proved_now() or (APP,)


def _revoked_by(by: ActingLogin | None) -> str:
    return "revoked by the operator" if by is None else "revoked by the user"
