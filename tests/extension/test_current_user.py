"""`current_user`: the proxy for the user, which raises if it is read too early."""

import asyncio
import copy
import inspect
import json
import math
import operator
import pickle
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sized
from functools import singledispatch
from typing import Any

import pytest
from quart import Quart
from users import ADA, User, Visit

from quartlogin import (
    AnonymousUserMixin,
    LoginManager,
    UserMixin,
    UserNotLoadedError,
    UserProtocol,
    current_user,
    is_signed_in,
    login_user,
)
from quartlogin.current_user import CurrentUser

Operation = Callable[[Any], Any]


def _assign(user: Any) -> None:
    user.name = "somebody else"


def _remove(user: Any) -> None:
    del user.name


def _enter(user: Any) -> None:
    with user:
        pass


def _match(user: Any) -> bool:
    match user:
        case User():
            return True
        case _:
            return False


def _unpack(user: Any) -> tuple[Any, Any]:
    first, second = user
    return first, second


def _loop(user: Any) -> None:
    for _ in user:
        pass


def _set_item(user: Any) -> None:
    user[0] = 1


def _delete_item(user: Any) -> None:
    del user[0]


def _add_in_place(user: Any) -> Any:
    user += 1
    return user


def _binary(symbol: str, operation: Callable[[Any, Any], Any]) -> Iterator[Any]:
    yield pytest.param(lambda user: operation(user, 3), id=f"user {symbol} 3")
    yield pytest.param(lambda user: operation(3, user), id=f"3 {symbol} user")


ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "@": operator.matmul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "divmod": divmod,
    "**": operator.pow,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

OPERATIONS = [
    pytest.param(lambda user: user.name, id="user.name"),
    pytest.param(lambda user: user.is_authenticated, id="user.is_authenticated"),
    pytest.param(lambda user: user.get_id(), id="user.get_id()"),
    pytest.param(lambda user: user.no_such_attribute, id="user.no_such_attribute"),
    pytest.param(lambda user: getattr(user, "name", "default"), id="getattr(user, 'name', 'default')"),
    pytest.param(lambda user: hasattr(user, "name"), id="hasattr"),
    pytest.param(operator.attrgetter("name"), id="attrgetter"),
    pytest.param(operator.methodcaller("get_id"), id="methodcaller"),
    pytest.param(_assign, id="user.name = ..."),
    pytest.param(_remove, id="del user.name"),
    pytest.param(lambda user: setattr(user, "name", "x"), id="setattr"),
    pytest.param(lambda user: user == None, id="user == None"),  # noqa: E711
    pytest.param(lambda user: user != None, id="user != None"),  # noqa: E711
    pytest.param(lambda user: user == ADA, id="user == ADA"),
    pytest.param(lambda user: ADA == user, id="ADA == user"),  # noqa: SIM300
    pytest.param(lambda user: ADA != user, id="ADA != user"),  # noqa: SIM300
    pytest.param(lambda user: user in [ADA], id="user in [ADA]"),
    pytest.param(lambda user: ADA in [user], id="ADA in [user]"),
    pytest.param(lambda user: user in (1, 2), id="user in (1, 2)"),
    pytest.param(lambda user: user not in [ADA], id="user not in [ADA]"),
    pytest.param(lambda user: user in {ADA}, id="user in {ADA}"),
    pytest.param(lambda user: user in {ADA: 1}, id="user in {ADA: 1}"),
    pytest.param([1, 2].index, id="list.index"),
    pytest.param([1, 2].count, id="list.count"),
    pytest.param(lambda user: "x" in user, id="'x' in user"),
    pytest.param(lambda user: {user}, id="{user}"),
    pytest.param(lambda user: {user: 1}, id="{user: 1}"),
    pytest.param({}.get, id="dict.get"),
    pytest.param(hash, id="hash"),
    pytest.param(repr, id="repr"),
    pytest.param(ascii, id="ascii"),
    pytest.param(str, id="str"),
    pytest.param(bytes, id="bytes"),
    pytest.param(format, id="format"),
    pytest.param(lambda user: f"{user}", id="f'{user}'"),
    pytest.param(lambda user: f"{user!r:>10}", id="f'{user!r:>10}'"),
    pytest.param("{.name}".format, id="'{.name}'.format"),
    pytest.param(lambda user: "%s" % user, id="'%s' % user"),  # noqa: UP031
    pytest.param(lambda user: "%d" % user, id="'%d' % user"),  # noqa: UP031
    pytest.param(print, id="print"),
    pytest.param(bool, id="bool"),
    pytest.param(operator.not_, id="not user"),
    pytest.param(lambda user: user or "nobody", id="user or ..."),
    pytest.param(lambda user: user and user.name, id="user and ..."),
    pytest.param(lambda user: any([user]), id="any"),
    pytest.param(lambda user: all([user]), id="all"),
    pytest.param(lambda user: list(filter(None, [user])), id="filter"),
    pytest.param(lambda user: isinstance(user, User), id="isinstance(user, User)"),
    pytest.param(lambda user: isinstance(user, (int, AnonymousUserMixin)), id="isinstance of several"),
    pytest.param(lambda user: isinstance(user, UserProtocol), id="isinstance of a protocol"),
    pytest.param(lambda user: isinstance(user, Mapping), id="isinstance of an abstract class"),
    pytest.param(lambda user: isinstance(1, user), id="isinstance(1, user)"),
    pytest.param(lambda user: issubclass(user, User), id="issubclass(user, User)"),
    pytest.param(lambda user: user.__class__, id="user.__class__"),
    pytest.param(lambda user: user.__dict__, id="user.__dict__"),
    pytest.param(lambda user: user.__doc__, id="user.__doc__"),
    pytest.param(singledispatch(lambda _: None), id="singledispatch"),
    pytest.param(_match, id="match user"),
    pytest.param(is_signed_in, id="is_signed_in"),
    pytest.param(vars, id="vars"),
    pytest.param(dir, id="dir"),
    pytest.param(inspect.getmembers, id="inspect.getmembers"),
    pytest.param(inspect.getdoc, id="inspect.getdoc"),
    pytest.param(len, id="len"),
    pytest.param(operator.length_hint, id="length_hint"),
    pytest.param(iter, id="iter"),
    pytest.param(next, id="next"),
    pytest.param(reversed, id="reversed"),
    pytest.param(list, id="list"),
    pytest.param(tuple, id="tuple"),
    pytest.param(set, id="set"),
    pytest.param(dict, id="dict"),
    pytest.param(sorted, id="sorted"),
    pytest.param(sum, id="sum(user)"),
    pytest.param(max, id="max"),
    pytest.param(enumerate, id="enumerate"),
    pytest.param(_loop, id="for ... in user"),
    pytest.param(_unpack, id="a, b = user"),
    pytest.param(lambda user: [*user], id="[*user]"),
    pytest.param(lambda user: {**user}, id="{**user}"),
    pytest.param(lambda user: max(*user), id="f(*user)"),
    pytest.param(lambda user: dict(**user), id="f(**user)"),
    pytest.param(lambda user: sum([user]), id="sum([user])"),
    pytest.param(lambda user: sorted([user, user]), id="sorted([user, user])"),
    pytest.param("".join, id="''.join(user)"),
    pytest.param(lambda user: user[0], id="user[0]"),
    pytest.param(lambda user: user["name"], id="user['name']"),
    pytest.param(lambda user: user[1:2], id="user[1:2]"),
    pytest.param(lambda user: [1, 2][user], id="[1, 2][user]"),
    pytest.param(_set_item, id="user[0] = 1"),
    pytest.param(_delete_item, id="del user[0]"),
    pytest.param(_add_in_place, id="user += 1"),
    pytest.param(lambda user: user(), id="user()"),
    pytest.param(_enter, id="with user"),
    pytest.param(aiter, id="aiter"),
    pytest.param(anext, id="anext"),
    pytest.param(operator.neg, id="-user"),
    pytest.param(operator.pos, id="+user"),
    pytest.param(operator.invert, id="~user"),
    pytest.param(abs, id="abs"),
    pytest.param(int, id="int"),
    pytest.param(float, id="float"),
    pytest.param(complex, id="complex"),
    pytest.param(operator.index, id="operator.index"),
    pytest.param(hex, id="hex"),
    pytest.param(chr, id="chr"),
    pytest.param(range, id="range"),
    pytest.param(round, id="round"),
    pytest.param(lambda user: round(user, 2), id="round(user, 2)"),
    pytest.param(math.trunc, id="math.trunc"),
    pytest.param(math.floor, id="math.floor"),
    pytest.param(math.ceil, id="math.ceil"),
    pytest.param(math.sqrt, id="math.sqrt"),
    pytest.param(lambda user: pow(user, 2, 5), id="pow(user, 2, 5)"),
    pytest.param(lambda user: "text" + user, id="'text' + user"),
    pytest.param(lambda user: [1] + user, id="[1] + user"),  # noqa: RUF005
    pytest.param(lambda user: {} | user, id="{} | user"),
    pytest.param(copy.copy, id="copy.copy"),
    pytest.param(copy.deepcopy, id="copy.deepcopy"),
    pytest.param(pickle.dumps, id="pickle.dumps"),
    pytest.param(lambda user: pickle.dumps([user], protocol=0), id="pickle.dumps of a list, protocol 0"),
    pytest.param(json.dumps, id="json.dumps"),
    *(case for symbol, operation in ARITHMETIC.items() for case in _binary(symbol, operation)),
]


@pytest.mark.parametrize("user_id", [None, "1"], ids=["anonymous", "signed in"])
async def test_an_early_read_raises_whatever_the_operation_and_the_visitor(visit: Visit, user_id: str | None) -> None:
    async with visit(user_id):
        unnoticed = [case.id for case in OPERATIONS if not is_refused(case.values[0])]

    assert unnoticed == []


def is_refused(operation: Operation) -> bool:
    try:
        operation(current_user)
    except UserNotLoadedError:
        return True
    return False


@pytest.mark.parametrize("user_id", [None, "1"], ids=["anonymous", "signed in"])
async def test_an_early_async_with_raises(visit: Visit, user_id: str | None) -> None:
    async with visit(user_id):
        with pytest.raises(UserNotLoadedError):
            async with current_user:
                pass


@pytest.mark.parametrize("user_id", [None, "1"], ids=["anonymous", "signed in"])
async def test_an_early_async_for_raises(visit: Visit, user_id: str | None) -> None:
    async with visit(user_id):
        with pytest.raises(UserNotLoadedError):
            async for _ in current_user:
                pass


async def test_an_early_read_loads_no_user(visit: Visit, loads: list[str]) -> None:
    async with visit("1"):
        with pytest.raises(UserNotLoadedError):
            bool(current_user)

    assert loads == []


async def test_the_error_says_what_to_write(visit: Visit) -> None:
    async with visit("1"):
        with pytest.raises(UserNotLoadedError, match=r"await current_user.*login_required"):
            current_user.name  # noqa: B018


async def test_signing_in_the_user_who_is_not_loaded_yet_raises(visit: Visit) -> None:
    async with visit("1"):
        with pytest.raises(UserNotLoadedError):
            await login_user(current_user)


@pytest.mark.parametrize("swallowed", [RuntimeError, AttributeError, LookupError, TypeError, ValueError, OSError])
def test_the_error_is_of_no_class_that_python_swallows(swallowed: type[Exception]) -> None:
    assert not issubclass(UserNotLoadedError, swallowed)


async def test_await_gives_the_real_object(visit: Visit) -> None:
    async with visit("1"):
        user = await current_user

        assert user is ADA
        assert type(user) is User


async def test_await_gives_the_real_anonymous_user(visit: Visit) -> None:
    async with visit():
        user = await current_user

        assert type(user) is AnonymousUserMixin


async def test_the_object_behind_the_loaded_proxy_is_the_awaited_one(visit: Visit) -> None:
    async with visit("1"):
        user = await current_user

        assert current_user._get_current_object() is user


async def test_plain_attributes_work_after_await(visit: Visit) -> None:
    async with visit("1"):
        await current_user

        assert current_user.name == "Ada"
        assert current_user.is_authenticated


async def test_plain_attributes_work_after_login_user(visit: Visit, loads: list[str]) -> None:
    async with visit():
        await login_user(ADA)

        assert current_user.name == "Ada"
        assert loads == []


async def test_the_loaded_anonymous_visitor_is_known_for_one(visit: Visit) -> None:
    async with visit():
        await current_user

        assert current_user.is_anonymous
        assert not current_user.is_authenticated
        assert isinstance(current_user, AnonymousUserMixin)


async def test_the_loaded_proxy_passes_for_the_user(visit: Visit) -> None:
    async with visit("1"):
        await current_user

        assert isinstance(current_user, User)
        assert isinstance(current_user, UserProtocol)
        assert current_user == ADA
        assert ADA == current_user  # noqa: SIM300
        assert not current_user != ADA  # noqa: SIM202
        assert current_user in [ADA]
        assert current_user in {ADA}
        assert ADA in [current_user]
        assert hash(current_user) == hash(ADA)
        assert repr(current_user) == repr(ADA)
        assert f"{current_user}" == f"{ADA}"
        assert vars(current_user) == vars(ADA)
        assert dir(current_user) == dir(ADA)
        assert is_signed_in(current_user)
        assert _match(current_user)


async def test_a_missing_attribute_of_the_loaded_user_is_an_attribute_error(visit: Visit) -> None:
    async with visit("1"):
        await current_user

        assert getattr(current_user, "no_such_attribute", "default") == "default"
        with pytest.raises(AttributeError, match=r"'User'.*'no_such_attribute'"):
            current_user.no_such_attribute  # noqa: B018


@pytest.fixture
def everybody_is(login_manager: LoginManager[Any], visit: Visit, loads: list[str]) -> Callable[[Any], None]:
    """Make the user_loader return this object, so that each operation has something to work on."""

    def everybody_is(thing: Any) -> None:
        login_manager.user_loader(lambda _: thing)

    return everybody_is


@pytest.mark.parametrize(
    "operation",
    [
        *(case for symbol, operation in ARITHMETIC.items() if symbol != "@" for case in _binary(symbol, operation)),
        operator.neg,
        operator.pos,
        operator.invert,
        abs,
        int,
        float,
        complex,
        operator.index,
        hex,
        chr,
        round,
        math.trunc,
        math.floor,
        math.ceil,
        bool,
        hash,
        format,
        pytest.param(lambda user: format(user, "04d"), id="format(user, '04d')"),
        pytest.param(lambda user: pow(user, 2, 5), id="pow(user, 2, 5)"),
        pytest.param(lambda user: "abcdefgh"[user], id="index"),
        pytest.param(lambda user: "%d" % user, id="'%d' % user"),  # noqa: UP031
        pytest.param(lambda user: isinstance(user, int), id="isinstance"),
    ],
)
async def test_every_operation_on_the_loaded_proxy_reaches_a_user_who_counts(
    visit: Visit, everybody_is: Callable[[Any], None], operation: Operation
) -> None:
    everybody_is(7)

    async with visit("1"):
        await current_user

        assert operation(current_user) == operation(7)


@pytest.mark.parametrize(
    "operation",
    [
        len,
        list,
        sorted,
        tuple,
        sum,
        max,
        operator.length_hint,
        copy.copy,
        copy.deepcopy,
        pytest.param(lambda user: list(reversed(user)), id="reversed"),
        pytest.param(lambda user: user[1], id="user[1]"),
        pytest.param(lambda user: user[1:], id="user[1:]"),
        pytest.param(lambda user: 2 in user, id="2 in user"),
        pytest.param(lambda user: 9 in user, id="9 in user"),
        pytest.param(lambda user: [*user], id="[*user]"),
        pytest.param(lambda user: user + [4], id="user + [4]"),  # noqa: RUF005
        pytest.param(lambda user: [4] + user, id="[4] + user"),  # noqa: RUF005
        pytest.param(lambda user: user * 2, id="user * 2"),
        pytest.param(lambda user: pickle.loads(pickle.dumps(user)), id="pickle"),
    ],
)
async def test_every_operation_on_the_loaded_proxy_reaches_a_user_who_contains(
    visit: Visit, everybody_is: Callable[[Any], None], operation: Operation
) -> None:
    everybody_is([3, 1, 2])

    async with visit("1"):
        await current_user

        assert operation(current_user) == operation([3, 1, 2])


async def test_what_is_set_on_the_loaded_proxy_is_set_on_the_user(
    visit: Visit, everybody_is: Callable[[Any], None]
) -> None:
    user = User("9", "Before")
    everybody_is(user)

    async with visit("9"):
        await current_user
        current_user.name = "After"
        current_user.shelf = 4
        del current_user.active

    assert vars(user) == {"id": "9", "name": "After", "shelf": 4}


async def test_items_set_on_the_loaded_proxy_are_set_on_the_user(
    visit: Visit, everybody_is: Callable[[Any], None]
) -> None:
    user = {"name": "Before", "old": 1}
    everybody_is(user)

    async with visit("9"):
        await current_user
        current_user["name"] = "After"
        del current_user["old"]

    assert user == {"name": "After"}


class Door(UserMixin):
    """A user who can be called, entered and walked through."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.steps = iter("ab")

    def __call__(self, word: str, *, loud: bool) -> str:
        return f"{word} {loud}"

    def __enter__(self) -> str:
        self.log.append("in")
        return "the hall"

    def __exit__(self, *error: object) -> None:
        self.log.append(f"out with {error[0]}")

    async def __aenter__(self) -> str:
        return "the garden"

    async def __aexit__(self, *error: object) -> None:
        self.log.append("out of the garden")

    def __aiter__(self) -> "Door":
        return self

    async def __anext__(self) -> str:
        for step in self.steps:
            return step
        raise StopAsyncIteration


async def test_the_loaded_proxy_is_called_and_entered_like_the_user(
    visit: Visit, everybody_is: Callable[[Any], None]
) -> None:
    door = Door()
    everybody_is(door)

    async with visit("1"):
        await current_user
        answer = current_user("hello", loud=True)
        with current_user as hall:
            pass
        async with current_user as garden:
            pass
        steps = [step async for step in current_user]

    assert (answer, hall, garden, steps) == ("hello True", "the hall", "the garden", ["a", "b"])
    assert door.log == ["in", "out with None", "out of the garden"]


async def test_a_copy_of_the_loaded_proxy_is_a_copy_of_the_user(visit: Visit) -> None:
    async with visit("1"):
        await current_user

        copied, deep = copy.copy(current_user), copy.deepcopy(current_user)

    assert type(copied) is type(deep) is User
    assert vars(copied) == vars(deep) == vars(ADA)
    assert copied is not ADA


async def test_the_loaded_proxy_is_pickled_as_the_user(visit: Visit) -> None:
    async with visit("1"):
        await current_user

        restored = pickle.loads(pickle.dumps(current_user))

    assert type(restored) is User
    assert vars(restored) == vars(ADA)


async def test_signing_in_current_user_keeps_the_real_object(visit: Visit) -> None:
    async with visit("1"):
        await current_user
        await login_user(current_user)
        user = await current_user

    assert user is ADA


@pytest.mark.parametrize(
    "operation",
    [
        repr,
        str,
        hash,
        bool,
        format,
        pytest.param(lambda user: user == None, id="user == None"),  # noqa: E711
        pytest.param(lambda user: None == user, id="None == user"),  # noqa: E711, SIM300
        pytest.param(lambda user: user in [None], id="user in [None]"),
        pytest.param(lambda user: user or "nobody", id="user or 'nobody'"),
        pytest.param(lambda user: isinstance(user, type(None)), id="isinstance"),
        pytest.param(lambda user: getattr(user, "name", "default"), id="getattr with a default"),
        pytest.param(is_signed_in, id="is_signed_in"),
        copy.copy,
        pytest.param(lambda user: pickle.loads(pickle.dumps(user)), id="pickle"),
    ],
)
def test_outside_a_request_current_user_acts_as_none(operation: Operation) -> None:
    assert operation(current_user) == operation(None)


def test_outside_a_request_current_user_has_no_name() -> None:
    with pytest.raises(AttributeError, match=r"'NoneType'.*'name'"):
        current_user.name  # noqa: B018


async def test_outside_a_request_await_gives_none() -> None:
    assert await current_user is None


async def test_inside_an_app_context_alone_current_user_is_none(app: Quart) -> None:
    async with app.app_context():
        assert await current_user is None
        assert current_user == None  # noqa: E711


async def test_two_requests_do_not_share_what_is_loaded(visit: Visit) -> None:
    async with visit("1"):
        await current_user

    async with visit("2"):
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018


def test_the_proxy_holds_nothing_of_its_own() -> None:
    assert CurrentUser.__slots__ == ()


# --- asyncio's own functions ----------------------------------------------------------------------------------


async def _ask() -> Any:
    return await current_user


@pytest.mark.parametrize("loaded", [False, True], ids=["not loaded", "loaded"])
@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda: asyncio.gather(current_user, asyncio.sleep(0, "slept")), id="gather"),
        pytest.param(lambda: asyncio.gather(current_user, current_user, _ask()), id="gather twice"),
        pytest.param(lambda: asyncio.wait_for(current_user, 60), id="wait_for"),
        pytest.param(lambda: asyncio.ensure_future(current_user), id="ensure_future"),
        pytest.param(lambda: asyncio.shield(current_user), id="shield"),
        pytest.param(lambda: next(iter(asyncio.as_completed([current_user]))), id="as_completed"),
    ],
)
async def test_asyncio_awaits_the_proxy(visit: Visit, loads: list[str], wait: Callable[[], Any], loaded: bool) -> None:
    async with visit("1"):
        if loaded:
            await current_user
        result = await wait()

    assert (result[0] if isinstance(result, list) else result) is ADA
    assert loads == ["1"]


@pytest.mark.parametrize("everybody", [[1, 2], {"a": 1}], ids=["a list", "a dictionary"])
async def test_asyncio_awaits_a_user_without_a_hash(
    visit: Visit, everybody_is: Callable[[Any], None], everybody: object
) -> None:
    everybody_is(everybody)

    async with visit("1"):
        await current_user
        (user,) = await asyncio.gather(current_user)

    assert user is everybody


async def test_the_proxy_is_awaitable_before_the_user_is_loaded(visit: Visit, loads: list[str]) -> None:
    async with visit("1"):
        assert inspect.isawaitable(current_user)
        assert not asyncio.iscoroutine(current_user)
        assert not asyncio.isfuture(current_user)
    assert loads == []


async def test_asking_for_any_other_class_too_early_raises(visit: Visit) -> None:
    async with visit("1"):
        for kind in (User, UserProtocol, object, Awaitable, Sized):
            with pytest.raises(UserNotLoadedError):
                current_user.__class__  # noqa: B018
            if kind is not object:
                with pytest.raises(UserNotLoadedError):
                    isinstance(current_user, kind)


async def test_a_task_cannot_be_made_of_the_proxy_and_says_what_to_write(visit: Visit) -> None:
    """Python makes tasks of coroutines alone: `asyncio.ensure_future(current_user)` works."""
    async with visit("1"):
        with pytest.raises(UserNotLoadedError, match="await current_user"):
            await asyncio.create_task(current_user)  # type: ignore[arg-type]
