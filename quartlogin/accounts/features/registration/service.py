"""Registration: creating an account and signing in to it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...audit.log import AuditLog, client_info
from ...database.errors import NameTaken
from ...database.interface import Transaction
from ...database.models import Account
from ...security.proofs import PASSWORD, proving
from ...security.rate_limits import RateLimits
from ...store import Store
from ...users.directory import Directory
from ..logins.service import in_login_transaction
from ..passwords.service import PasswordService


@dataclass
class RegistrationService:
    """Creates accounts, within the rate limits."""

    store: Store
    directory: Directory
    passwords: PasswordService
    audit_log: AuditLog
    rate_limits: RateLimits

    async def register(
        self, name: str, password: str, fields: Mapping[str, Any], sign_in: Callable[[Any], Awaitable[object]]
    ) -> Any:
        """Create a user with an account, and sign in to it.

        Args:
            name: As entered; the form has validated it.
            password: As entered; the form has validated it.
            fields: The values of the app's own fields.
            sign_in: Called with the user.

        Returns:
            The user.

        Raises:
            TooManyAttempts: Too many registrations were attempted from this address.
            NameTaken: A user has this name, or one with the same normalized form.
            BreachedPassword: The password appears in a data breach.
            FieldError: The app refuses a value.
            ValueError: The name is not valid.
        """
        key = self.directory.normalize(name)
        if key is None:
            raise ValueError("This is not a valid username.")
        attempt = await self.rate_limits.count_registration(client_info()[0])
        async with self.passwords.reserved_slot(attempt):
            pass  # from here on the attempt stays counted: the response reveals whether the name is taken
        if await self.directory.is_taken(key):
            raise NameTaken  # before the hash, which is the costly part
        password_hash = await self._begun_hash(key, password) or await self.passwords.hash_new_password(password)
        new = await self.directory.create(name, key, password_hash, fields)
        event = self.audit_log.event("registered", new.user_id)

        async def add(transaction: Transaction) -> None:
            await new.add(transaction, event.happened_at)
            await self.store.events.insert(transaction, event)

        with in_login_transaction(add, event), proving(PASSWORD):
            is_signed_in = await sign_in(new.user)
        if not is_signed_in and not new.user.is_active:  # the app will make the user active later
            await self.store.database.transaction(add)
            self.audit_log.emit(event)
        self.passwords.set_device_cookie(Account(new.user_id))
        await self.passwords.hooks.tell(self.passwords.hooks.after_registration, new.user)
        return new.user

    async def _begun_hash(self, key: str, password: str) -> str | None:
        """Return the hash of an interrupted registration of this name, if it is of this password: to continue it."""
        begun = await self.directory.begun_hash(key)
        if begun is None:
            return None
        with self.passwords.hashing.reserve_slot():
            result = await self.passwords.hashing.check(begun, password, cost_key=key)
        return begun if result.is_right else None
