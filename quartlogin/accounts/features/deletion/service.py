"""Account deletion."""

from dataclasses import dataclass
from typing import Any

from ...audit.log import AuditLog
from ...database.errors import LoginEnded
from ...users.directory import Directory
from ..logins.service import LoginStore
from ..passwords.service import PasswordService


@dataclass
class DeletionService:
    """Deletes accounts with everything that belongs to them."""

    directory: Directory
    passwords: PasswordService
    logins: LoginStore
    audit_log: AuditLog

    async def delete(self, user: Any, password: str) -> bool:
        """Delete a signed-in user's account with everything that belongs to it; False if the password is wrong.

        Raises:
            DeleteRefused: The app refuses; nothing was deleted.
            LoginEnded: This request's login has ended, as with the account; nothing was changed.
        """
        credentials = await self.passwords.verify_current_password(user, password, "account_deletion_failed")
        if credentials is None:
            return False
        account = credentials.account
        by = self.passwords.acting_login(await self.passwords.current_login())
        ended = await self.directory.delete(credentials, by)
        if ended is None:
            raise LoginEnded("Another request has changed the password.")
        self.audit_log.emit(self.audit_log.event("account_deleted", account.user_id))
        self.logins.note_ended(ended, "account deleted")
        await self.passwords.hooks.tell(self.passwords.hooks.after_deletion, credentials.user)
        return True
