"""Registration: creating an account and signing in to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final

from ...audit.log import AuditLog, client_info
from ...database.errors import UsernameTaken
from ...database.interface import Transaction
from ...database.models import NewUser, User
from ...security.rate_limits import RateLimits
from ...store import Store
from ...usernames import display_name, normalize_username
from ..logins.transactions import in_login_transaction
from ..passwords.service import PasswordService

_USER_ID_BYTES: Final = 16  # 128 bits, which makes 22 characters


@dataclass
class RegistrationService:
    """Creates accounts, within the rate limits."""

    store: Store
    passwords: PasswordService
    audit_log: AuditLog
    rate_limits: RateLimits

    async def validate_registration(self, username: str, password: str) -> NewUser:
        """Create the account that `register` adds. The form has validated the username and the password.

        Raises:
            TooManyAttempts: Too many registrations were attempted from this address.
            UsernameTaken: An account has this username, or one with the same normalized form.
            BreachedPassword: The password appears in a data breach.
            ValueError: The username is not valid.
        """
        key = normalize_username(username)
        if key is None:
            raise ValueError("This is not a valid username.")
        attempt = await self.rate_limits.count_registration(client_info()[0])
        async with self.passwords.reserved_slot(attempt):
            pass  # from here on the attempt stays counted: the response reveals whether the name is taken
        if await self.store.users.find_credentials(key) is not None:
            raise UsernameTaken  # before the hash, which is the costly part
        user = User(id=new_user_id(), username=display_name(username))
        return NewUser(user, key, await self.passwords.hash_new_password(password))

    async def register(self, new: NewUser, sign_in: Callable[[User], Awaitable[object]]) -> None:
        """Add an account and sign in to it: both, or neither.

        Args:
            new: From `validate_registration`.
            sign_in: Called with the user.

        Raises:
            UsernameTaken: Another request has taken the username.
        """
        event = self.audit_log.event("registered", new.user.id)

        async def add(transaction: Transaction) -> None:
            await self.store.users.insert(transaction, new, event.happened_at)
            await self.store.events.insert(transaction, event)

        with in_login_transaction(add, event):
            await sign_in(new.user)


def new_user_id() -> str:
    """Create a random user id."""
    return token_urlsafe(_USER_ID_BYTES)
