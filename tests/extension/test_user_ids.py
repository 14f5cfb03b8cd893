"""User ids: text or a whole number; login refuses everything else."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from quart import Quart, session
from users import User, Visit

from quartlogin import LoginManager, QuartLoginClient, UserMixin, create_bearer_token, current_user, login_user


class WithId(UserMixin):
    """A user whose `get_id` gives whatever it was made with."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def get_id(self) -> Any:
        return self.given() if callable(self.given) else self.given


class Row(UserMixin):
    """A user with an `id` that is text only after `str`."""

    def __init__(self, id: Any) -> None:
        self.id = id


class AsyncId(UserMixin):
    """A user whose `get_id` was made a coroutine function by mistake."""

    async def get_id(self) -> str:  # type: ignore[override]
        return "1"


class Code(StrEnum):
    """Ids that are text and something else besides."""

    ADA = "ada"


class Number(IntEnum):
    """Ids that are numbers and something else besides."""

    ADA = 7


def future() -> "asyncio.Future[str]":
    return asyncio.get_running_loop().create_future()


NO_IDS = [b"1", bytearray(b"1"), ("1",), ["1"], {"id": "1"}, {"1"}, 1.0, True, False, object(), UUID(int=1), future]


def name_of(value: object) -> str:
    return type(value).__name__


@pytest.fixture
def signing_in(visit: Visit) -> Callable[[Any], Any]:
    """What `login_user` or `create_bearer_token` raise."""

    async def signing_in(user: Any, how: str) -> Exception | None:
        async with visit():
            try:
                if how == "login_user":
                    await login_user(user)
                else:
                    await create_bearer_token(user, duration=timedelta(hours=1))
            except Exception as error:
                return error
            return None

    return signing_in


HOW = pytest.mark.parametrize("how", ["login_user", "create_bearer_token"])


@HOW
@pytest.mark.parametrize("given", NO_IDS, ids=name_of)
async def test_an_id_that_is_neither_text_nor_a_number_is_refused(signing_in: Any, how: str, given: Any) -> None:
    error = await signing_in(WithId(given), how)

    assert type(error) is TypeError
    assert "WithId.get_id()" in str(error)
    assert name_of(given() if callable(given) else given) in str(error)
    assert "str" in str(error)


@HOW
async def test_a_coroutine_instead_of_an_id_is_refused_and_leaves_no_warning(signing_in: Any, how: str) -> None:
    error = await signing_in(AsyncId(), how)

    assert type(error) is TypeError
    assert re.search(r"AsyncId\.get_id\(\).*'coroutine'", str(error))
    assert "`def get_id(self): return str(self.id)`" in str(error)


@HOW
@pytest.mark.parametrize(
    "user", [WithId(None), Row(None), User(id=None, name="Not saved yet")], ids=["get_id", "UserMixin", "dataclass"]
)
async def test_a_user_who_is_not_saved_yet_has_no_id_and_is_refused(signing_in: Any, how: str, user: Any) -> None:
    error = await signing_in(user, how)

    assert type(error) is ValueError
    assert type(user).__name__ in str(error)
    assert "flush" in str(error)


@HOW
@pytest.mark.parametrize("given", [*NO_IDS[:10], asyncio.sleep, print], ids=name_of)
async def test_an_attribute_id_whose_text_would_name_no_user_is_rejected(signing_in: Any, how: str, given: Any) -> None:
    error = await signing_in(Row(given), how)

    assert type(error) is TypeError
    assert "Row.id" in str(error)


@pytest.mark.parametrize("given", NO_IDS[:5], ids=name_of)
async def test_nothing_is_written_for_a_user_who_is_refused(app: Quart, visit: Visit, given: Any) -> None:
    async with visit():
        session["_user_id"] = "1"
        with pytest.raises(TypeError):
            await login_user(WithId(given))

        assert dict(session) == {"_user_id": "1"}
        assert (await current_user).get_id() == "1"


@pytest.mark.parametrize("given", NO_IDS[:5], ids=name_of)
async def test_a_test_client_refuses_the_same_ids(app: Quart, given: Any) -> None:
    with pytest.raises(TypeError, match="WithId"):
        await QuartLoginClient(app, user=WithId(given)).get("/")


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (WithId("1"), "1"),
        (WithId(1), "1"),
        (WithId(2**70), str(2**70)),
        (WithId(Code.ADA), "ada"),
        (WithId(Number.ADA), "7"),
        (Row(7), "7"),
        (Row(UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else type(value).__name__,  # the same in each process
)
async def test_text_and_whole_numbers_are_kept_as_text(app: Quart, visit: Visit, user: Any, text: str) -> None:
    async with visit():
        await login_user(user)

        assert session["_user_id"] == text
        assert type(session["_user_id"]) is str


async def test_another_method_that_gives_the_id_is_named(visit: Visit, login_manager: LoginManager[User]) -> None:
    login_manager.id_attribute = "key"
    user = Row(1)
    user.key = lambda: b"1"  # type: ignore[attr-defined]

    async with visit():
        with pytest.raises(TypeError, match=r"Row\.key\(\) .* 'bytes'.* `def key\(self\)"):
            await login_user(user)


def test_unsaved_users_are_equal_only_to_themselves() -> None:
    one, other = Row(None), Row(None)

    assert one == one  # noqa: PLR0124
    assert one != other
    assert one != Row(1)
    assert Row(1) != one
