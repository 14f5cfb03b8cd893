"""What whoever deploys the application can add with code of their own, where a setting is not enough."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Final
from unicodedata import normalize

from .database.models import User

#: Seconds that each hook has to answer.
PATIENCE: Final = 3

_log = getLogger(__name__)


class SecondStepFailed(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """The second step raised or took too long: nobody is signed in."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Coroutine functions that are called at three moments. Each may raise, and has three seconds."""

    #: Called with a password that somebody chooses, in NFC: is it known from a breach? What raises is a no.
    is_breached: Callable[[str], Awaitable[bool]] | None = None
    #: Called in the sign-in's request, when the password was right: may this user be signed in? Anything but `True`
    #: counts and is answered as a wrong password. What raises is a 503.
    second_step: Callable[[User], Awaitable[bool]] | None = None
    #: Called once a user's change of the password is kept, with the address that it came from: somebody may be told.
    password_changed: Callable[[User, str], Awaitable[object]] | None = None

    async def refuses(self, password: str) -> bool:
        """Tell whether a password is known to be breached; if that cannot be found out in time, it is not."""
        if self.is_breached is None:
            return False
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.is_breached(normalize("NFC", password)) is not False
        except Exception:
            _log.exception("Whether a new password is breached could not be found out: it was taken.")
            return False

    async def lets_in(self, user: User) -> bool:
        """Tell whether a user whose password was right may be signed in.

        Raises:
            SecondStepFailed: That could not be found out in time.
        """
        if self.second_step is None:
            return True
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.second_step(user) is True
        except Exception as error:
            _log.exception("The second step failed: user %s was not signed in.", user.id)
            raise SecondStepFailed from error

    async def tell_password_changed(self, user: User, address: str) -> None:
        """Tell of a changed password; whatever comes of it, it stays changed."""
        if self.password_changed is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self.password_changed(user, address)
        except Exception:
            _log.exception("That user %s has changed the password could not be told.", user.id)
