"""Create an account for another user, as the operator or a test does: without rate limits, and without a sign-in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from ...audit.log import AuditLog
from ...database.interface import Transaction
from ...store import Store
from ...users.directory import Directory


class AccountsParts(Protocol):
    """The parts of the accounts that this needs, as an app's accounts and a command's context have them."""

    @property
    def directory(self) -> Directory:
        """The users."""
        ...

    @property
    def store(self) -> Store:
        """The database of the accounts."""
        ...

    @property
    def audit_log(self) -> AuditLog:
        """The audit log."""
        ...


async def create_account(
    accounts: AccountsParts,
    name: str,
    password_hash: str,
    fields: Mapping[str, Any],
    also: Callable[[Transaction, str], Awaitable[None]] | None = None,
) -> Any:
    """Create a user with an account.

    Args:
        accounts: The accounts.
        name: As entered; it is valid.
        password_hash: argon2's PHC string.
        fields: The values of the app's own fields.
        also: Called last in the transaction that adds the account, with the user's id.

    Returns:
        The user.

    Raises:
        NameTaken: A user has this name.
        FieldError: The app refuses a value.
    """
    key = accounts.directory.normalize(name) or ""
    new = await accounts.directory.create(name, key, password_hash, fields)
    event = accounts.audit_log.event("registered", new.user_id)

    async def add(transaction: Transaction) -> None:
        await new.add(transaction, event.happened_at)
        if also is not None:
            await also(transaction, new.user_id)
        await accounts.store.events.insert(transaction, event)

    await accounts.store.database.transaction(add)
    accounts.audit_log.emit(event)
    return new.user
