"""Who has an account: registering, and checking a name and a password."""

import re
import time
from dataclasses import dataclass
from logging import getLogger
from secrets import token_urlsafe
from typing import Final

from .passwords import Passwords
from .store import Store, User, UsernameTaken
from .usernames import name_key, shown_name

_log = getLogger(__name__)

_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_USER_ID_BYTES: Final = 16  # 128 bits, which makes 22 characters


@dataclass(frozen=True)
class Accounts:
    """The users of the application: the rules over the store and the password hashes."""

    store: Store
    passwords: Passwords

    async def find(self, user_id: str) -> User | None:
        """Find an active user by an id that came from a cookie.

        An id that is not of the form that `register` gives is nobody's, and no question to the database.
        """
        return await self.store.find_user(user_id) if _USER_ID.fullmatch(user_id) else None

    async def authenticate(self, username: str, password: str) -> User | None:
        """Return the user whom this name and password belong to; `None` for whatever is wrong with them.

        Unknown and disabled users cost what a wrong password costs: one question to the database and one hash.
        """
        credentials = await self.store.find_credentials(name_key(username) or "")
        stored_hash = None if credentials is None else credentials.password_hash
        verdict = await self.passwords.check(stored_hash, password)
        if credentials is None or not verdict.is_right or not credentials.is_active:
            return None
        if verdict.new_hash is not None:
            await self.store.replace_password_hash(credentials.user.id, credentials.password_hash, verdict.new_hash)
            _log.info("The password hash of user %s was renewed with today's parameters.", credentials.user.id)
        return credentials.user

    async def register(self, username: str, password: str) -> User:
        """Make an account. The name and the password have passed the form's rules.

        Raises:
            UsernameTaken: Somebody has this name, or one with the same key.
            ValueError: The name is not one.
        """
        key = name_key(username)
        if key is None:
            raise ValueError("This is not a name that an account may have.")
        if await self.store.find_credentials(key) is not None:
            raise UsernameTaken  # before the hash, which is the costly part
        user = User(id=token_urlsafe(_USER_ID_BYTES), username=shown_name(username))
        await self.store.add_user(user, key, await self.passwords.hash(password), int(time.time()))
        return user
