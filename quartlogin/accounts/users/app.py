"""The directory of an app's own users, beside what the accounts keep about them.

The app and the accounts commit separately. So a registration is written down before the app creates the user
(`app_registrations.py`), and a deletion before the app deletes one: whatever stops in between is completed later, or
undone.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quartlogin import ConfigurationError, tracing

from ..audit.login_steps import tell_ended
from ..database.errors import NameTaken, StoreUnavailable
from ..database.interface import Row, Transaction
from ..database.models import Account, ActingLogin, ActiveLogin, Credentials, Event, LoginOfUser, UserRow
from ..features.logins.user_loader import LoginFinder, find_alone, login_of_user
from ..features.passwords.table import PasswordTable
from ..features.registration.table import LIFETIME, BegunRegistration
from ..store import Store
from ..table import AccountTable
from .app_registrations import CREATION_TIME, AppRegistrations
from .checked import TIMEOUT, CheckedUsers
from .columns import UserColumns
from .directory import NewAccount
from .protocol import DeleteRefused, is_storable_id

#: Seconds after which a deletion that is not complete was interrupted.
_DELETION_TIME: Final = 10 * TIMEOUT
_BATCH: Final = 100  # rows of one round of cleaning


class AppDirectory:
    """The users of an app, beside what the accounts keep about them.

    Args:
        store: The database of the accounts.
        users: The app's users.
    """

    def __init__(self, store: Store, users: CheckedUsers) -> None:
        self._store = store
        self._users = users
        self._alone = find_alone(store.database)
        self._joined = None if users.columns is None else _joined(store, users.columns)
        self._registrations = AppRegistrations(store, users, self._find)
        self.table = users.table
        self.name_label = users.name_label
        self.name_rule = users.name_rule

    @property
    def takes_fields(self) -> bool:
        """Tell that users have fields of the app's own."""
        return True

    @property
    def can_delete(self) -> bool:
        """Tell whether the app deletes users."""
        return self._users.has("delete")

    @property
    def can_rename(self) -> bool:
        """Tell whether the app renames users."""
        return self._users.has("rename")

    @property
    def adds_accounts(self) -> bool:
        """Tell that a user whom the app signs in by itself may have no account yet."""
        return True

    def normalize(self, typed: str) -> str | None:
        """Return the form in which names are compared: the app's own, or the default."""
        return self._users.normalize(typed)

    def validate(self, typed: str) -> str | None:
        """Return why this is not a valid name, in one sentence; `None` if it is."""
        return self._users.validate(typed)

    def name_of(self, user: Any) -> str:
        """Return the name that pages show."""
        return self._users.name_of(user)

    async def by_id(self, user_id: str) -> Any | None:
        """Find a user by id, and check that it is the one."""
        return await self._users.by_id(user_id)

    def is_possible_id(self, user_id: str) -> bool:
        """Tell whether a user can have this id."""
        return is_storable_id(user_id)

    async def find_login(self, id_hash: str, user_id: str, now: int, idle_since: int) -> ActiveLogin | None:
        """Find a login and its user: in one statement, or at the same time."""
        if self._joined is None:
            found, user = await self._find_beside(id_hash, user_id, now, idle_since)
        else:
            found, values = await self._joined.find(id_hash, user_id, now, idle_since) or (None, None)
            user = None if values is None else self._users.from_columns(user_id, values)
        if found is None:
            return None
        if user is None or not user.is_active:
            ended = await self._store.accounts.end_all(user_id)
            if tracing.listeners:
                tell_ended(ended, "the app has no such user, or not an active one")
            return None
        if not await self._is_same_person(user, user_id, found.stamp):
            if tracing.listeners:
                tell_ended([id_hash], "its user id belongs to another user now")
            return None
        return found.of(user)

    async def check(self) -> None:
        """Check that the columns of the users are in the accounts' database.

        Raises:
            ConfigurationError: They are not.
        """
        if self._joined is None:
            return
        try:
            await self._joined.find("", "", 0, 0)
        except StoreUnavailable as error:
            raise ConfigurationError(
                f"The columns of the users cannot be read from the database of the accounts: {error}. Correct them, or "
                "leave `columns` out if the users are in another database."
            ) from error

    async def _find_beside(
        self, id_hash: str, user_id: str, now: int, idle_since: int
    ) -> tuple[LoginOfUser | None, Any | None]:
        """Find a login beside its user, who is loaded in this task, since the app's session may be its."""
        finding = asyncio.ensure_future(self._alone.find(id_hash, user_id, now, idle_since))
        finding.add_done_callback(_retrieve)
        try:
            user = await self.by_id(user_id)
        except BaseException:
            finding.cancel()
            raise
        return await finding, user

    async def find_credentials(self, name_key: str) -> Credentials | None:
        """Find them, for an unknown name with the same queries."""
        now = int(time.time())
        found = await self._find(name_key, now - LIFETIME, now - CREATION_TIME)
        if found is None or found.completes is not None:
            return found
        found = await self.with_old_hash(found)
        return found if found.has_account or found.is_apps_hash else None

    async def credentials_of(self, user_id: str) -> Credentials | None:
        """Find the user, and then the rest, and check that it is of this person."""
        user = await self.by_id(user_id)
        found = None if user is None else await self._store.passwords.find(user, user_id)
        if found is None or not await self._is_same_person(user, user_id, found.account.stamp):
            return None
        return found

    async def find_user(self, name_key: str) -> Credentials | None:
        """Find a user by normalized name, even one without an account."""
        now = int(time.time())
        return await self._find(name_key, now - LIFETIME, now)

    async def with_old_hash(self, credentials: Credentials) -> Credentials:
        """Return credentials with the hash that the app has, if the account never had a password."""
        if credentials.has_had_password:
            return credentials
        stored = await self._users.old_password_hash(credentials.user)
        return credentials if stored is None else replace(credentials, password_hash=stored, is_apps_hash=True)

    async def adopt(self, credentials: Credentials, password_hash: str) -> None:
        """Keep the password of a user whose hash the app has, with an account if there is none."""

        async def work(transaction: Transaction) -> None:
            now = int(time.time())
            await self.add_account(transaction, credentials, now)
            await PasswordTable.adopt(transaction, credentials.account, password_hash, now)

        await self._store.database.transaction(work)

    async def add_account(self, transaction: Transaction, credentials: Credentials, now: int) -> None:
        """Add the account of a user who has none, unless another request was faster."""
        if not credentials.has_account:
            stamp = self._users.stamp_of(credentials.user)
            await AccountTable.ensure(transaction, credentials.account.user_id, now, stamp)

    async def complete(self, credentials: Credentials) -> bool:
        """Add the account of a user whose registration was interrupted; return False if it has been completed."""
        return await self._registrations.complete(credentials)

    async def is_taken(self, name_key: str) -> bool:
        """Tell whether a user has this normalized name, even one without an account."""
        return await self._users.by_name(name_key) is not None

    async def begun_hash(self, name_key: str) -> str | None:
        """Return the password hash of an interrupted registration of this name."""
        now = int(time.time())
        begun = await self._store.registrations.find(name_key, now - LIFETIME, now - CREATION_TIME)
        return None if begun is None else begun.password_hash

    async def list_all(self, now: int, idle_since: int) -> list[UserRow]:
        """List the users who have an account by name; each is loaded by the app."""
        rows = await self._store.accounts.list_all(now, idle_since)
        users = await self._users.by_ids([row.id for row in rows])
        listed = [
            replace(row, username=self.name_of(user), is_active=row.is_active and bool(user.is_active))
            for row, user in zip(rows, users, strict=True)
            if user is not None
        ]
        return sorted(listed, key=lambda row: self.normalize(row.username) or row.username)

    async def create(self, _: str, name_key: str, password_hash: str, fields: Mapping[str, Any]) -> NewAccount:
        """Write the registration down, and let the app create the user."""
        return await self._registrations.create(name_key, password_hash, fields)

    async def rename(self, credentials: Credentials, _: str, name_key: str, event: Event) -> None:
        """Let the app rename the user, and store the event if there is an account."""
        user_id, now = credentials.account.user_id, int(time.time())
        if await self._store.registrations.find(name_key, now - LIFETIME, now) is not None:
            raise NameTaken  # a user without an account would get the password of that registration
        present = await self._users.by_name(name_key)
        if present is not None and self._users.id_of(present, "by_name") != user_id:
            raise NameTaken
        await self._users.rename(credentials.user, name_key)
        if credentials.has_account:
            await self._store.events.add(event)

    async def delete(self, credentials: Credentials, by: ActingLogin) -> list[str] | None:
        """Mark the account, let the app delete the user, and remove the account."""
        account = credentials.account
        ended = await self._store.accounts.begin_deletion(account, by, int(time.time()))
        if ended is None:
            return None
        try:
            await self._users.delete(credentials.user)
        except DeleteRefused:
            await self._store.accounts.take_back_deletion(account.user_id)
            raise
        await self._store.accounts.complete_deletion(account.user_id)
        return [*ended, by.id_hash]

    async def clean(self, now: int) -> int:
        """Complete or undo registrations and deletions that were interrupted; return their number."""
        deleting = await self._store.accounts.list_deleting(now - _DELETION_TIME, _BATCH)
        begun = await self._store.registrations.list_before(now - CREATION_TIME, _BATCH)
        settled = [
            registration for registration in begun if await self._registrations.settle(registration, now, deleting)
        ]
        for user_id in deleting:
            if await self.by_id(user_id) is None:
                await self._store.accounts.complete_deletion(user_id)
            else:
                await self._store.accounts.take_back_deletion(user_id)
        return len(settled) + len(deleting)

    async def _find(self, name_key: str, since: int, until: int) -> Credentials | None:
        """Find a user, with the password of the account, or of a registration that began between two times."""
        user = await self._users.by_name(name_key)
        user_id = "" if user is None else self._users.id_of(user, "by_name")
        found = await self._store.passwords.find(user, user_id)
        begun = await self._store.registrations.find(name_key, since, until)
        if user is None:
            return None
        if found is not None and not await self._is_same_person(user, user_id, found.account.stamp):
            found = None
        if begun is not None and (found is None or _is_of_former_user(found.account, begun)):
            return Credentials(
                *(user, Account(user_id), begun.password_hash),
                has_account=False,
                has_had_password=False,
                completes=name_key,
            )
        return found or Credentials(user, Account(user_id), None, has_account=False, has_had_password=False)

    async def _is_same_person(self, user: Any, user_id: str, kept: str | None) -> bool:
        """Tell whether a user is the one whose account this is; what is kept about a former one is removed."""
        stamp = self._users.stamp_of(user)
        if stamp is None or stamp == kept:
            return True
        if kept is None:
            await self._store.accounts.keep_stamp(user_id, stamp)
            return True
        await self._store.accounts.forget_former(user_id, kept)
        return False


def _joined(store: Store, columns: UserColumns) -> "LoginFinder[tuple[LoginOfUser, Sequence[Any] | None]]":
    """Find logins together with the columns of their users; `None` instead of those of a user who is gone."""

    def make(row: Row) -> tuple[LoginOfUser, Sequence[Any] | None]:
        user_id, *values = row[-len(columns.names) - 1 :]
        return login_of_user(row), None if user_id is None else values

    return LoginFinder(store.database, make, f"a.stamp, {columns.select()}", columns.join())


def _is_of_former_user(account: Account, begun: BegunRegistration) -> bool:
    """Tell whether an account is that of a deleted user, whose id the user has got whose registration was interrupted.

    The name was free when the registration began. The deletion may have begun shortly after: both are interrupted when
    the process ends.
    """
    return account.deleting_at is not None and begun.begun_at > account.deleting_at - CREATION_TIME


def _retrieve(task: "asyncio.Future[Any]") -> None:
    """Mark a task's error as seen: nobody waits for it if the user could not be loaded."""
    if not task.cancelled():
        task.exception()
