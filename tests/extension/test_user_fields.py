"""Users whose `is_active` and similar names are fields of a dataclass or a table, or set in `__init__`."""

from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from quart import session
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column
from users import Visit

from quartlogin import UserMixin, UserProtocol, current_user, login_user


@dataclass
class WithDefault(UserMixin):
    """A field that need not be given."""

    id: int
    is_active: bool = True
    name: str = "Ada"


@dataclass
class WithoutDefault(UserMixin):
    """A field that must be given, before another one that must."""

    is_active: bool
    id: int


@dataclass(frozen=True)
class Frozen(UserMixin):
    """A user who cannot be changed."""

    id: int
    is_active: bool


@dataclass(slots=True)
class Slotted(UserMixin):
    """A user whose fields are slots."""

    id: int
    is_active: bool


@dataclass(kw_only=True, eq=False)
class ByKeyword(UserMixin):
    """A field with a default that is made."""

    is_active: bool = field(default_factory=lambda: True)
    id: int


@dataclass
class Derived(WithoutDefault):
    """A user class that inherits the field."""

    name: str


class InInit(UserMixin):
    """A class that is written by hand."""

    def __init__(self, id: int, is_active: bool) -> None:
        self.id = id
        self.is_active = is_active  # type: ignore[misc]  # mypy takes it for a property


class WithSlots(UserMixin):
    """A class with slots that are written by hand."""

    __slots__ = ("id", "is_active")

    def __init__(self, id: int, is_active: bool) -> None:
        self.id = id
        self.is_active = is_active


class Base(DeclarativeBase):
    """The tables of these tests."""


class InTable(UserMixin, Base):
    """A column whose values are the answer."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    is_active: Mapped[bool]


class InTableToo(UserMixin, MappedAsDataclass, Base):
    """A column that is a dataclass's field as well."""

    __tablename__ = "more_users"

    is_active: Mapped[bool]
    id: Mapped[int] = mapped_column(primary_key=True)


def derived(id: int, is_active: bool) -> Derived:
    return Derived(id=id, is_active=is_active, name="Ada")


KINDS: list[Any] = [
    *(WithDefault, WithoutDefault, Frozen, Slotted, ByKeyword, derived, InInit, WithSlots, InTable, InTableToo)
]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@EVERY_KIND
@pytest.mark.parametrize("active", [True, False])
def test_a_user_is_active_as_its_field_says(kind: Any, active: bool) -> None:
    user = kind(id=1, is_active=active)

    assert user.is_active is active
    assert user.is_authenticated is active
    assert user.is_anonymous is False
    assert user.get_id() == "1"
    assert isinstance(user, UserProtocol)


@EVERY_KIND
async def test_a_user_whose_field_says_so_may_not_sign_in(visit: Visit, kind: Any) -> None:
    async with visit():
        signed_in = await login_user(kind(id=1, is_active=False))

        assert signed_in is False
        assert "_user_id" not in session


@EVERY_KIND
async def test_a_user_whose_field_allows_it_signs_in(visit: Visit, kind: Any) -> None:
    user = kind(id=1, is_active=True)

    async with visit():
        await login_user(user)

        assert (await current_user) is user


def test_a_field_keeps_its_default_or_has_none() -> None:
    assert WithDefault(1).is_active is True
    assert [one.name for one in fields(WithoutDefault)] == ["is_active", "id"]
    with pytest.raises(TypeError, match="is_active"):
        WithoutDefault(id=1)  # type: ignore[call-arg]


def test_a_field_can_be_changed() -> None:
    user = WithoutDefault(id=1, is_active=True)

    user.is_active = False

    assert not user.is_authenticated


def test_a_column_is_read_from_the_database() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)

    with Session(engine) as db:
        db.add_all([InTable(id=1, is_active=True), InTable(id=2, is_active=False)])
        db.flush()
        db.expire_all()
        answers = [db.get_one(InTable, number).is_authenticated for number in (1, 2)]
        found = db.query(InTable).filter(InTable.is_active).one().id
    engine.dispose()

    assert answers == [True, False]
    assert found == 1


@pytest.mark.parametrize("name", ["is_authenticated", "is_anonymous"])
@pytest.mark.parametrize("value", [True, False])
def test_the_other_answers_may_be_fields_too(name: str, value: bool) -> None:
    kind: Any = dataclass(type("Kind", (UserMixin,), {"__annotations__": {"id": int, name: bool}}))

    user = kind(1, value)

    assert getattr(user, name) is value
    assert user.is_active is True


def test_a_property_of_the_class_takes_precedence_over_the_mixins() -> None:
    class Suspended(UserMixin):
        id = 1

        @property
        def is_active(self) -> bool:
            return False

    assert not Suspended().is_authenticated


@pytest.mark.parametrize("name", ["is_active", "is_authenticated", "is_anonymous"])
def test_a_class_without_such_fields_has_the_mixins_answers(name: str) -> None:
    class Plain(UserMixin):
        id = 1

    assert getattr(Plain, name).__doc__.startswith("Whether")
    assert getattr(Plain(), name) is (name != "is_anonymous")
