"""Hooks: the operator's coroutine functions, for decisions that a setting cannot express."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Final
from unicodedata import normalize

from .database.models import User

#: Seconds that each hook has to return.
TIMEOUT: Final = 3

_log = getLogger(__name__)


class SecondStepFailed(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """The second step raised an error or timed out: the user is not signed in."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Coroutine functions that are called at three moments. Each may raise, and must return within three seconds."""

    #: Called with a new password in NFC: does it appear in a data breach? An error means no.
    is_breached: Callable[[str], Awaitable[bool]] | None = None
    #: Called when a sign-in's password is correct: may this user sign in? Any result except `True` counts and is
    #: answered as a wrong password; an error is answered 503.
    second_step: Callable[[User], Awaitable[bool]] | None = None
    #: Called after a user has changed the password, with the client's address, to notify the user.
    password_changed: Callable[[User, str], Awaitable[object]] | None = None

    async def refuses(self, password: str) -> bool:
        """Tell whether a password appears in a data breach; an error or timeout means no."""
        if self.is_breached is None:
            return False
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.is_breached(normalize("NFC", password)) is not False
        except Exception:
            _log.exception("The is_breached hook failed; the password was accepted.")
            return False

    async def lets_in(self, user: User) -> bool:
        """Tell whether a user whose password was correct may sign in.

        Raises:
            SecondStepFailed: The hook failed or timed out.
        """
        if self.second_step is None:
            return True
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.second_step(user) is True
        except Exception as error:
            _log.exception("The second_step hook failed for user %s, who was not signed in.", user.id)
            raise SecondStepFailed from error

    async def tell_password_changed(self, user: User, address: str) -> None:
        """Report a changed password; if the hook fails, the password stays changed."""
        if self.password_changed is None:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                await self.password_changed(user, address)
        except Exception:
            _log.exception("The password_changed hook failed for user %s.", user.id)
