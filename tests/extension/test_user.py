"""User objects: the mixins, the protocol and `is_signed_in`."""

from typing import Any

import pytest
from users import ADA, DISMISSED, GRACE, User

from quartlogin import AnonymousUserMixin, ConfigurationError, UserMixin, UserProtocol, is_signed_in
from quartlogin.user import require_bool


class Numbered(UserMixin):
    """A user whose id is of any type."""

    def __init__(self, user_id: Any) -> None:
        self.id = user_id


class HandWritten:
    """A user class that mixes nothing in."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        return "1"


def test_a_user_is_active_and_signed_in_by_default() -> None:
    assert ADA.is_active
    assert ADA.is_authenticated
    assert not ADA.is_anonymous


def test_an_inactive_user_is_not_signed_in() -> None:
    assert not DISMISSED.is_active
    assert not DISMISSED.is_authenticated


@pytest.mark.parametrize(("user_id", "text"), [("1", "1"), (1, "1"), ("", ""), (0, "0"), ("é", "é")])
def test_the_id_of_a_user_is_text(user_id: object, text: str) -> None:
    assert Numbered(user_id).get_id() == text


def test_a_user_without_an_id_says_what_to_write() -> None:
    class Nameless(UserMixin):
        pass

    with pytest.raises(NotImplementedError, match=r"Nameless.*get_id\(\)"):
        Nameless().get_id()


def test_users_with_the_same_id_are_equal() -> None:
    assert User("1", "Ada") == User("1", "Countess of Lovelace")
    assert Numbered(1) == Numbered("1")


def test_users_with_different_ids_are_not_equal() -> None:
    assert ADA != GRACE
    assert not ADA == GRACE  # noqa: SIM201


@pytest.mark.parametrize("other", ["1", 1, None, HandWritten(), AnonymousUserMixin()])
def test_a_user_is_not_equal_to_what_is_no_user(other: object) -> None:
    assert other != ADA


def test_a_user_can_be_a_key() -> None:
    assert {ADA: "Ada"}[ADA] == "Ada"


def test_a_subclass_that_compares_in_its_own_way_may() -> None:
    class Secretive(UserMixin):
        id = 1

        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    assert Secretive() != Secretive()


def test_an_anonymous_visitor_is_nothing_but_anonymous() -> None:
    visitor = AnonymousUserMixin()

    assert visitor.is_anonymous
    assert not visitor.is_active
    assert not visitor.is_authenticated
    assert visitor.get_id() is None


@pytest.mark.parametrize("user", [ADA, AnonymousUserMixin(), HandWritten()], ids=lambda user: type(user).__name__)
def test_whatever_offers_the_names_is_a_user(user: object) -> None:
    assert isinstance(user, UserProtocol)


def test_an_object_without_the_names_is_no_user() -> None:
    assert not isinstance(object(), UserProtocol)


@pytest.mark.parametrize(
    ("user", "signed_in"),
    [(ADA, True), (HandWritten(), True), (DISMISSED, False), (AnonymousUserMixin(), False), (None, False)],
    ids=["user", "hand-written", "inactive", "anonymous", "none"],
)
def test_is_signed_in_tells_users_from_the_others(user: Any, signed_in: bool) -> None:
    assert is_signed_in(user) is signed_in


class Answering:
    """A user class whose require_bool are methods, each of which is true as long as nobody calls it."""

    is_anonymous = False

    def is_authenticated(self) -> bool:
        return False

    async def is_active(self) -> bool:
        return False

    def get_id(self) -> str:
        return "1"


@pytest.mark.parametrize("question", ["is_authenticated", "is_active"])
def test_a_method_does_not_count_as_true(question: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Answering\.{question}"):
        require_bool(Answering(), question)


def test_a_user_whose_is_authenticated_is_a_method_is_not_signed_in() -> None:
    with pytest.raises(ConfigurationError):
        is_signed_in(Answering())  # type: ignore[arg-type]  # which is what type checkers say of it, too
