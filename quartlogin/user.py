"""User objects: the protocol that quartlogin expects, and two mixins that implement it."""

from collections.abc import Callable
from inspect import get_annotations, isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from .errors import ConfigurationError


@runtime_checkable
class UserProtocol(Protocol):
    """The interface of a user object; `UserMixin` implements it for an attribute `id`."""

    @property
    def is_authenticated(self) -> bool:
        """Whether guards admit this user."""
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
        """Return the text that identifies this user in the session, `None` for the anonymous user."""
        ...


def require_bool(user: Any, question: str) -> bool:
    """Return a user object's `is_authenticated` or `is_active`.

    Raises:
        ConfigurationError: It is a method or a coroutine, which would always be true.
    """
    answer = getattr(user, question)
    if callable(answer) or isawaitable(answer):
        raise ConfigurationError(
            f"{type(user).__name__}.{question} must be an attribute or a property that is True or False, "
            f"not {type(answer).__name__}: this one is always true, so it would let everyone in."
        )
    return bool(answer)


def id_of(user: Any, method: str) -> str:
    """Return the id of a user as text.

    Args:
        user: The user object.
        method: The name of the method that returns the id: `LoginManager.id_attribute`.

    Raises:
        TypeError: The method returns neither a `str` nor an `int`.
        ValueError: The user has no id.
    """
    given = getattr(user, method)()
    where = f"{type(user).__name__}.{method}()"
    if given is None:
        raise ValueError(_no_id(where))
    return _text_of_id(given, where, f"Write `def {method}(self): return str(self.id)`.")


def _no_id(where: str) -> str:
    return f"{where} returned None: only users with an id can sign in. Save a new user first (`await db.flush()`)."


def _text_of_id(given: Any, where: str, remedy: str) -> str:
    """Return an id as text, if it is one: a `bool` or the text of a tuple would identify another user, or none."""
    if isinstance(given, str):
        return str.__str__(given)  # an enumeration may have another `__str__`
    if isinstance(given, int) and not isinstance(given, bool):
        return str(int(given))
    if iscoroutine(given):
        given.close()  # or Python warns that it was never awaited, too
    kind = type(given).__name__
    raise TypeError(f"{where} returned an object of type '{kind}', but a user's id is a str or an int. {remedy}")


UserT = TypeVar("UserT", bound=UserProtocol)

if TYPE_CHECKING:
    _overridable = property
else:

    class _overridable:  # noqa: N801 -- used as `property` is
        """A property that a field of the same name can replace.

        Subclasses may keep the value in the instance: as a field of a dataclass or of attrs, or set in `__init__`. A
        `property` would refuse that ("has no setter"), and a dataclass would take it for the field's default.
        """

        def __init__(self, answer: Callable[[Any], bool]) -> None:
            self._answer = answer
            self.__doc__ = answer.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, user: Any, owner: type) -> Any:
            if user is not None:
                return self._answer(user)
            if any(self._name in get_annotations(cls) for cls in owner.__mro__):
                raise AttributeError(self._name)  # a dataclass looks for the field's default, and there is none
            return self


class UserMixin:
    """The default implementation for a user class with an attribute `id`."""

    # Defining __eq__ would otherwise make users unhashable.
    __hash__ = object.__hash__

    @_overridable
    def is_active(self) -> bool:
        """Whether `login_user` lets this user sign in."""
        return True

    @_overridable
    def is_authenticated(self) -> bool:
        """Whether guards admit this user: as long as the user is active."""
        return self.is_active

    @_overridable
    def is_anonymous(self) -> bool:
        """Whether this stands for a visitor who is not signed in: never."""
        return False

    def get_id(self) -> str:
        """Return `id` as text.

        Raises:
            NotImplementedError: The class has no attribute `id`; override this method.
            TypeError: The attribute is neither a `str`, an `int`, nor an object with its own text, such as a UUID.
            ValueError: The attribute is `None`, as that of a user who is not saved yet.
        """
        try:
            found = self.id  # type: ignore[attr-defined]  # the class that mixes this in has it
        except AttributeError:
            raise NotImplementedError(f"{type(self).__name__} has no attribute `id`: override get_id().") from None
        where = f"{type(self).__name__}.id"
        if found is None:
            raise ValueError(_no_id(where))
        writes_text: Any = type(found).__str__
        has_text = writes_text is not object.__str__ and not isinstance(found, bytes | bytearray)
        return _text_of_id(str(found) if has_text else found, where, "Override `get_id(self)`.")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, UserMixin):
            return NotImplemented
        try:
            return self.get_id() == other.get_id()
        except ValueError:  # one of them is not saved yet
            return False


class AnonymousUserMixin:
    """A visitor who is not signed in."""

    @property
    def is_authenticated(self) -> bool:
        """Whether guards admit this user: never."""
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
        """Return `None`: the session keeps nothing of an anonymous visitor."""
        return
