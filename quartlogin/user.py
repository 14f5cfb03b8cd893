"""What quartlogin expects of a user object, and the two classes that already provide it."""

from inspect import isawaitable
from typing import Any, Protocol, TypeVar, runtime_checkable

from .errors import ConfigurationError


@runtime_checkable
class UserProtocol(Protocol):
    """What a user object must offer; `UserMixin` provides all of it from an attribute `id`."""

    @property
    def is_authenticated(self) -> bool:
        """Whether guards let this user through."""
        ...

    @property
    def is_active(self) -> bool:
        """Whether `login_user` lets this user sign in."""
        ...

    @property
    def is_anonymous(self) -> bool:
        """Whether this stands for a visitor who is not signed in."""
        ...

    def get_id(self) -> str | None:
        """Return the text that names this user in the session, `None` for the anonymous user."""
        ...


def answers(user: Any, question: str) -> bool:
    """Ask a user object `is_authenticated` or `is_active`.

    Raises:
        ConfigurationError: It answers with a method or a coroutine, which would always be true.
    """
    answer = getattr(user, question)
    if callable(answer) or isawaitable(answer):
        raise ConfigurationError(
            f"{type(user).__name__}.{question} has to be an attribute or a property that is True or False, "
            f"not {type(answer).__name__}: as it is, it would let everybody in."
        )
    return bool(answer)


UserT = TypeVar("UserT", bound=UserProtocol)


class UserMixin:
    """The usual answers for a user class that has an attribute `id`."""

    # Defining __eq__ would otherwise make users unhashable.
    __hash__ = object.__hash__

    @property
    def is_active(self) -> bool:
        """Whether `login_user` lets this user sign in."""
        return True

    @property
    def is_authenticated(self) -> bool:
        """Whether guards let this user through: as long as the user is active."""
        return self.is_active

    @property
    def is_anonymous(self) -> bool:
        """Whether this stands for a visitor who is not signed in: never."""
        return False

    def get_id(self) -> str:
        """Return `id` as text.

        Raises:
            NotImplementedError: The class has no attribute `id`; override this method.
        """
        try:
            return str(self.id)  # type: ignore[attr-defined]  # the class that mixes this in has it
        except AttributeError:
            raise NotImplementedError(f"{type(self).__name__} has no attribute `id`: override get_id().") from None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, UserMixin):
            return self.get_id() == other.get_id()
        return NotImplemented


class AnonymousUserMixin:
    """A visitor who is not signed in."""

    @property
    def is_authenticated(self) -> bool:
        """Whether guards let this user through: never."""
        return False

    @property
    def is_active(self) -> bool:
        """Whether `login_user` lets this user sign in: never."""
        return False

    @property
    def is_anonymous(self) -> bool:
        """Whether this stands for a visitor who is not signed in: always."""
        return True

    def get_id(self) -> None:
        """Return `None`: nothing of an anonymous visitor is kept in the session."""
        return
