"""What else is to happen in the transaction in which a login begins or is renewed: both or neither."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ...database.interface import Transaction
from ...database.models import Event

Work = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True)
class Alongside:
    """The work, and what is told of it."""

    work: Work
    event: Event


_alongside: ContextVar[Alongside | None] = ContextVar("quartlogin_alongside", default=None)


@contextmanager
def alongside(work: Work, event: Event) -> Iterator[None]:
    """Have something else happen together with the login that begins or is renewed in this block: both or neither.

    Args:
        work: Called with the transaction, before the login is written. What it raises, `login_user` and
            `confirm_login` raise.
        event: What is told of it.
    """
    token = _alongside.set(Alongside(work, event))
    try:
        yield
    finally:
        _alongside.reset(token)


def what_else() -> Alongside | None:
    """Return what is to happen together with the login that begins or is renewed now."""
    return _alongside.get()
