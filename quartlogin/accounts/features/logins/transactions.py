"""What belongs to a login's transaction: other work, and what the user has proved.

`login_user` and `confirm_login` write the login through the extension, which knows nothing of accounts. Other changes
of the same transaction, such as adding the account, are passed in a context variable, and so are the kinds of proof.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from ...database.interface import Transaction
from ...database.models import Account, Event
from ...security.proofs import check_kind

Work = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True)
class JoinedWork:
    """The work, and the event that it records, if any."""

    work: Work
    event: Event | None


#: The account of the login that begins now, as it was when its credentials were read.
_account: Final[ContextVar[Account | None]] = ContextVar("quartlogin_account_signing_in", default=None)
_joined: Final[ContextVar[JoinedWork | None]] = ContextVar("quartlogin_joined_work", default=None)
_proved: Final[ContextVar[tuple[str, ...]]] = ContextVar("quartlogin_proved", default=())


@contextmanager
def in_login_transaction(work: Work, event: Event | None = None) -> Iterator[None]:
    """Do work in the transaction of the login that begins or is renewed in this block: both happen, or neither.

    Args:
        work: Called with the transaction before the login is written. `login_user` and `confirm_login` raise what it
            raises.
        event: Emitted once the transaction is committed, if any.
    """
    token = _joined.set(JoinedWork(work, event))
    try:
        yield
    finally:
        _joined.reset(token)


@contextmanager
def signing_in(account: Account) -> Iterator[None]:
    """Let `login_user` begin a login only if the account is still as it was when the credentials were read."""
    token = _account.set(account)
    try:
        yield
    finally:
        _account.reset(token)


@contextmanager
def proving(*kinds: str) -> Iterator[None]:
    """Note what the user has just proved in the login that begins or is renewed in this block.

    Args:
        kinds: The names, as a feature's `proofs` has them.

    Raises:
        ConfigurationError: One cannot be kept.
    """
    for kind in kinds:
        check_kind(kind)
    token = _proved.set(kinds)
    try:
        yield
    finally:
        _proved.reset(token)


def account_signing_in() -> Account | None:
    """Return the account whose login begins now; `None` if the app signs a user in by itself."""
    return _account.get()


def take_joined_work() -> JoinedWork | None:
    """Return the work that belongs to the login that begins or is renewed now, once.

    Receivers of `user_logged_in` may begin another login, such as an API token, in the same block.
    """
    joined = _joined.get()
    _joined.set(None)
    return joined


def proved_now() -> tuple[str, ...]:
    """Return the kinds of proof of the login that begins or is renewed now; none if the app does that by itself."""
    return _proved.get()
