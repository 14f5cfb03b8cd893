"""The user loader: finds the user of this request's login, if it is active."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from quart import has_request_context, request

from quartlogin import login_id, login_secret_hash

from ...context import keep_login
from ...database.models import ActiveLogin, Moment
from ...store import Store
from ...users.directory import Directory
from .last_seen import LastSeen, is_due
from .remember_rotation import RememberTokens

#: The header of background requests of a page's script, which the user did not cause.
BACKGROUND_HEADER: Final = "Quartlogin-Background"


class UserLoader:
    """Finds the user of a request, and notes that the login was seen.

    Args:
        store: The database.
        directory: The users.
        hash_of: Returns the hash under which a login is stored.
        idle: How long an unused sign-in stays active.
        stand_in: Returns the user to show in this request instead of one who must change the password first; `None` for
            that user.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        hash_of: Callable[[str], str],
        idle: timedelta,
        stand_in: Callable[[], Any] = lambda: None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._hash_of = hash_of
        self._stand_in = stand_in
        self._idle = int(idle.total_seconds())
        #: Writes the last-seen times.
        self.last_seen = LastSeen(store, self._idle)

    async def find(self, user_id: str) -> Any:
        """Find the user of this request's login, in one statement; `None` if the login is not active.

        Args:
            user_id: From a cookie or a token. An id that no user can have is not queried.
        """
        found = await self.find_login(user_id)
        if found is None:
            keep_login(None)
            return None
        if found.login.must_change_password and (other := self._stand_in()) is not None:
            keep_login(None)
            return other  # not `None`, at which the extension would delete the remember cookie of an ended login
        keep_login(found.login)
        return found.user

    async def find_login(self, user_id: str) -> ActiveLogin | None:
        """Find this request's login and its user; `None` if it is not active."""
        login = login_id()
        if login is None or not self._directory.is_possible_id(user_id):
            return None
        now, id_hash = int(time.time()), self._hash_of(login)
        found = await self._directory.find_login(id_hash, user_id, now, now - self._idle)
        if found is None:
            return None
        if found.secrets and not await self._has_valid_secret(id_hash, found.secrets, now):
            return None
        if is_due(found.seen_at, now) and _is_visit():
            self.last_seen.note(id_hash, user_id, found.seen_at, now)
        return found

    async def _has_valid_secret(self, id_hash: str, stored: str, now: int) -> bool:
        """Tell whether the remember-me secret of this session is valid, if it has one."""
        secret = login_secret_hash()
        if secret is None:
            return True
        secrets = RememberTokens.read(stored, now)
        settled = secrets.after_seeing(secret, now)
        at = Moment(now, now - self._idle)
        if settled is not None and not await self._store.logins.replace_secrets(id_hash, stored, settled.write(), at):
            found = await self._store.logins.find_remembered(id_hash, at)  # another request was faster
            secrets = RememberTokens.read("" if found is None else found.secrets, now)
        return secrets.is_valid(secret)


def _is_visit() -> bool:
    """Tell whether a user caused this request; an open page alone does not keep a login alive."""
    return has_request_context() and not request.headers.getlist(BACKGROUND_HEADER)  # `in` takes twice as long
