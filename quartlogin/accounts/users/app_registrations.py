"""Registrations of an app's users: noted before the app creates the user, and completed or removed afterwards."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from quartlogin import ConfigurationError

from ..database.errors import Conflict, NameTaken
from ..database.interface import Transaction, shield
from ..database.models import Credentials
from ..features.passwords.table import PasswordTable
from ..features.registration.table import LIFETIME, BegunRegistration, RegistrationTable
from ..store import Store
from ..table import AccountTable
from .checked import TIMEOUT, CheckedUsers
from .directory import NewAccount

#: Seconds after which a registration was interrupted. Until then the app may be creating the user, or refusing the name
#: because the user is somebody else's: nobody may sign in with the password of that registration.
CREATION_TIME: Final = 2 * TIMEOUT


class AppRegistrations:
    """The order in which a registration is committed: what the accounts note, the app's user, the account.

    Args:
        store: The database of the accounts.
        users: The app's users.
        find: Finds the credentials of a normalized name, with the password of a registration that began between two
            times.
    """

    def __init__(
        self, store: Store, users: CheckedUsers, find: Callable[[str, int, int], Awaitable[Credentials | None]]
    ) -> None:
        self._store = store
        self._users = users
        self._find = find

    async def complete(self, credentials: Credentials) -> bool:
        """Add the account of a user whose registration was interrupted; return False if it has been completed."""
        user, hash_, name_key = credentials.user, credentials.password_hash, credentials.completes

        async def work(transaction: Transaction) -> bool:
            if not await RegistrationTable.complete(transaction, name_key or "", hash_ or ""):
                return False
            await AccountTable.purge_deleting(transaction, credentials.account.user_id)  # of a former user with this id
            await self._add(transaction, user, credentials.account.user_id, hash_ or "", int(time.time()))
            return True

        try:
            return await self._store.database.transaction(work)
        except Conflict:
            return False

    async def create(self, name_key: str, password_hash: str, fields: Mapping[str, Any]) -> NewAccount:
        """Write the registration down, and let the app create the user.

        Raises:
            NameTaken: A user has this name, or somebody else is registering with it.
            FieldError: The app refuses a value.
        """
        user = await shield(self._begin_and_create(name_key, password_hash, fields))
        user_id = self._users.id_of(user, "create")

        async def add(transaction: Transaction, now: int) -> None:
            await AccountTable.purge(transaction, user_id)  # of a former user with this id
            await self._add(transaction, user, user_id, password_hash, now)
            await RegistrationTable.complete(transaction, name_key, password_hash)

        return NewAccount(user, user_id, add)

    async def settle(self, begun: BegunRegistration, now: int, deleting: Collection[str] = ()) -> bool:
        """Complete a registration whose user exists and has no account, or remove it; return False if it is too early.

        The user may have the id of one whose deletion was interrupted, too: then it is not too early.
        """
        has_expired = begun.begun_at < now - LIFETIME
        found = await self._find(begun.name_key, begun.begun_at, begun.begun_at)
        is_completed = (
            found is not None
            and found.completes is not None
            and (has_expired or found.account.user_id in deleting)
            and await self.complete(found)
        )
        if has_expired and not is_completed:
            await self._store.registrations.withdraw_expired(begun.name_key, now - LIFETIME)
        return has_expired or is_completed

    async def _begin(self, name_key: str, password_hash: str) -> bool:
        """Write a registration down; another one of this name stands in its way for an hour."""
        now, registrations = int(time.time()), self._store.registrations
        if await registrations.begin(name_key, password_hash, now, now - CREATION_TIME):
            return True
        expired = await registrations.find(name_key, 0, now - LIFETIME - 1)
        if expired is None:
            return False
        await self.settle(expired, now)
        return await registrations.begin(name_key, password_hash, now, now - CREATION_TIME)

    async def _begin_and_create(self, name_key: str, password_hash: str, fields: Mapping[str, Any]) -> Any:
        """Create a user, whether or not the browser still waits: what was begun must not stand for another's user."""
        if not await self._begin(name_key, password_hash):
            raise NameTaken
        try:
            user = await self._users.create(name_key, fields)
        except Exception:
            await self._store.registrations.withdraw(name_key, password_hash)
            raise
        try:
            await self._users.check_created(user, name_key)
        except ConfigurationError:  # any other error leaves the user who was created to this registration
            await self._store.registrations.withdraw(name_key, password_hash)
            raise
        return user

    async def _add(self, transaction: Transaction, user: Any, user_id: str, password_hash: str, now: int) -> None:
        await AccountTable.insert(transaction, user_id, now, stamp=self._users.stamp_of(user))
        await PasswordTable.insert(transaction, user_id, password_hash, now)
