"""The user loader: whose login this request's is, as long as that counts."""

import re
import time
from datetime import timedelta
from typing import Final

from quart import has_request_context, request

from quartlogin import login_id, login_secret_hash

from ...database.models import Moment, User
from ...store import Store
from .last_seen import LastSeen, is_due
from .remember_rotation import RememberTokens
from .service import digest

#: What a page's script sends with what it asks for by itself: nobody is there because of it.
BACKGROUND_HEADER: Final = "Quartlogin-Background"

_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")  # as accounts give them; no other is asked for


class UserLoader:
    """Finds the user of a request, and notes that the login was seen.

    Args:
        store: Where users and logins are kept.
        idle: How long a sign-in counts that nobody uses.
    """

    def __init__(self, store: Store, idle: timedelta) -> None:
        self._store = store
        self._idle = int(idle.total_seconds())
        #: What writes when they were seen.
        self.last_seen = LastSeen(store, self._idle)

    async def find(self, user_id: str) -> User | None:
        """Find the user of this request's login, in one statement; `None` if the login counts no more.

        Args:
            user_id: From a cookie or a token. One that is not of the form that accounts have is nobody's, and no
                question to the database.
        """
        login = login_id()
        if login is None or not _USER_ID.fullmatch(user_id):
            return None
        now, id_hash = int(time.time()), digest(login)
        found = await self._store.logins.find(id_hash, user_id, now, now - self._idle)
        if found is None:
            return None
        if found.secrets and not await self._came_with_what_counts(id_hash, found.secrets, now):
            return None
        if is_due(found.seen_at, now) and _is_visit():
            self.last_seen.note(id_hash, user_id, found.seen_at, now)
        return found.user

    async def _came_with_what_counts(self, id_hash: str, kept: str, now: int) -> bool:
        """Tell whether this session came with a secret that counts, if it came with one at all."""
        secret = login_secret_hash()
        if secret is None:
            return True
        secrets = RememberTokens.read(kept, now)
        settled = secrets.after_seeing(secret, now)
        at = Moment(now, now - self._idle)
        if settled is not None and not await self._store.logins.replace_secrets(id_hash, kept, settled.write(), at):
            found = await self._store.logins.find_remembered(id_hash, at)  # another request was quicker
            secrets = RememberTokens.read("" if found is None else found.secrets, now)
        return secrets.counts(secret)


def _is_visit() -> bool:
    """Tell whether somebody asked for this, and not a page that was left open: that does not keep a sign-in alive."""
    return has_request_context() and not request.headers.getlist(BACKGROUND_HEADER)  # `in` takes twice as long
