"""Hooks: the app's coroutine functions, for decisions that an option cannot express."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any, Final
from unicodedata import normalize

#: Seconds that each hook has to return.
TIMEOUT: Final = 3

#: Called with the user.
Check = Callable[[Any], Awaitable[bool]]
Listener = Callable[[Any], Awaitable[object]]

_log = getLogger(__name__)


class HookFailed(Exception):  # noqa: N818 -- a state of affairs; the caller answers 503
    """A `before_sign_in` hook raised an error or timed out: the user is not signed in."""


@dataclass
class Hooks:
    """Coroutine functions that are called at certain moments. Each may raise, and must return within three seconds."""

    #: Called with a new password in NFC: does it appear in a data breach? An error means no.
    is_breached: Callable[[str], Awaitable[bool]] | None = None
    #: Each is called when a sign-in's password is correct: may this user sign in? Any result except `True` counts, and
    #: is answered, as a wrong password; an error is answered 503.
    before_sign_in: list[Check] = field(default_factory=list)
    #: Each is called after its event is committed.
    after_sign_in: list[Listener] = field(default_factory=list)
    after_registration: list[Listener] = field(default_factory=list)
    after_password_change: list[Listener] = field(default_factory=list)
    after_deletion: list[Listener] = field(default_factory=list)

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

    async def lets_in(self, user: Any) -> bool:
        """Tell whether a user whose password was correct may sign in: every hook must say so.

        Raises:
            HookFailed: A hook failed or timed out.
        """
        for check in self.before_sign_in:
            try:
                async with asyncio.timeout(TIMEOUT):
                    if await check(user) is not True:
                        return False
            except Exception as error:
                _log.exception("The before_sign_in hook failed for user %s, who was not signed in.", user.get_id())
                raise HookFailed from error
        return True

    async def tell(self, listeners: list[Listener], user: Any) -> None:
        """Report an event; if a hook fails, what has happened stays."""
        for listener in listeners:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await listener(user)
            except Exception:
                _log.exception("The hook %s failed for user %s.", _name(listener), user.get_id())


def _name(listener: Listener) -> str:
    return getattr(listener, "__qualname__", type(listener).__name__)
