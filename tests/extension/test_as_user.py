"""`LoginManager.as_user`: `current_user` in jobs, shells and tests."""

import asyncio
from typing import Any

import pytest
from quart import Quart, render_template_string, session
from quart.testing import QuartClient
from users import ADA, GRACE, SignIn, User, Visit

from quartlogin import (
    LoginManager,
    UserNotLoadedError,
    current_user,
    is_signed_in,
    login_fresh,
    login_id,
    login_required,
)

LONG_ENOUGH = 60  # seconds until a test gives up on what hangs


def name_now() -> str | None:
    """Whom plain attributes name; `None` outside of everything."""
    return None if current_user == None else current_user.name  # noqa: E711 -- the proxy is what is compared


async def test_a_job_acts_as_a_user(login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(ADA) as user:
        awaited, plain = await current_user, current_user.name

    assert user is ADA
    assert awaited is ADA
    assert plain == "Ada"


async def test_after_the_block_there_is_no_user(login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(ADA):
        pass

    assert await current_user is None
    assert name_now() is None


async def test_after_a_failed_block_there_is_no_user(login_manager: LoginManager[User]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with login_manager.as_user(ADA):
            raise ZeroDivisionError

    assert await current_user is None


async def test_after_a_cancelled_block_there_is_no_user(login_manager: LoginManager[User]) -> None:
    names: list[str | None] = []
    entered = asyncio.Event()

    async def act() -> None:
        try:
            async with login_manager.as_user(ADA):
                entered.set()
                await asyncio.Event().wait()
        finally:
            names.append(name_now())

    task = asyncio.create_task(act())
    async with asyncio.timeout(LONG_ENOUGH):
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert names == [None]


async def test_blocks_nest(login_manager: LoginManager[User]) -> None:
    names = []

    async with login_manager.as_user(ADA):
        names.append(name_now())
        async with login_manager.as_user(GRACE):
            names.append(name_now())
        names.append(name_now())
    names.append(name_now())

    assert names == ["Ada", "Grace", "Ada", None]


async def test_tasks_that_the_block_starts_act_as_its_user(login_manager: LoginManager[User]) -> None:
    async def ask() -> tuple[Any, str]:
        return await current_user, current_user.name

    async with login_manager.as_user(ADA):
        answers = await asyncio.gather(ask(), asyncio.create_task(ask()))

    assert answers == [(ADA, "Ada"), (ADA, "Ada")]


async def test_a_thread_that_the_block_starts_acts_as_its_user(login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(ADA):
        name = await asyncio.to_thread(name_now)

    assert name == "Ada"


async def test_a_block_in_one_task_does_not_reach_another(login_manager: LoginManager[User]) -> None:
    names: list[str | None] = []
    entered, left = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        async with login_manager.as_user(ADA):
            entered.set()
            await left.wait()

    task = asyncio.create_task(act())
    async with asyncio.timeout(LONG_ENOUGH):
        await entered.wait()
        names.append(name_now())
        async with login_manager.as_user(GRACE):
            names.append(name_now())
        left.set()
        await task

    assert names == [None, "Grace"]


async def test_the_loader_is_not_asked(login_manager: LoginManager[User], app: Quart, loads: list[str]) -> None:
    async with app.app_context(), login_manager.as_user(ADA):
        await current_user

    assert loads == []


async def test_acting_as_a_user_is_no_login(login_manager: LoginManager[User], app: Quart) -> None:
    async with app.app_context(), login_manager.as_user(ADA):
        login = (login_id(), login_fresh())

    assert login == (None, False)


async def test_the_typed_user_is_the_same(login_manager: LoginManager[User]) -> None:
    async with login_manager.as_user(ADA):
        users = (login_manager.user, await login_manager.current_user)

    assert users == (ADA, ADA)
    assert users[0] is ADA


async def test_current_user_itself_may_be_passed_in(login_manager: LoginManager[User], visit: Visit) -> None:
    async with visit("1"):
        await current_user
        async with login_manager.as_user(login_manager.user) as typed, login_manager.as_user(current_user) as user:  # type: ignore[arg-type]
            inside = await current_user

    assert (typed, inside) == (ADA, ADA)
    assert type(user) is User


async def test_current_user_that_is_not_loaded_cannot_be_passed_in(
    login_manager: LoginManager[User], visit: Visit
) -> None:
    async with visit("1"):
        with pytest.raises(UserNotLoadedError):
            async with login_manager.as_user(current_user):  # type: ignore[arg-type]
                pass


async def test_within_a_request_the_block_goes_before_its_user(login_manager: LoginManager[User], visit: Visit) -> None:
    async with visit("1"):
        names = [(await current_user).name]
        async with login_manager.as_user(GRACE):
            names.append(name_now())
        names.append(name_now())

    assert names == ["Ada", "Grace", "Ada"]


async def test_a_block_does_not_load_the_requests_own_user(
    login_manager: LoginManager[User], visit: Visit, loads: list[str]
) -> None:
    async with visit("1"):
        async with login_manager.as_user(GRACE):
            await current_user
        with pytest.raises(UserNotLoadedError):
            name_now()

    assert loads == []


async def test_a_block_does_not_touch_the_session(login_manager: LoginManager[User], visit: Visit) -> None:
    async with visit():
        async with login_manager.as_user(ADA):
            await current_user
        contents = dict(session)

    assert contents == {}


async def test_a_guarded_view_can_be_called_as_a_user(login_manager: LoginManager[User], visit: Visit) -> None:
    @login_required
    async def account() -> str:
        return f"account of {current_user.name}"

    async with visit(), login_manager.as_user(ADA):
        page = await account()

    assert page == "account of Ada"


async def test_a_guard_turns_away_who_may_not_sign_in(login_manager: LoginManager[User], visit: Visit) -> None:
    async with visit(), login_manager.as_user(User("9", "Nobody", active=False)):
        assert not is_signed_in(await current_user)


async def test_a_template_is_rendered_as_the_user(login_manager: LoginManager[User], app: Quart) -> None:
    async with app.app_context(), login_manager.as_user(ADA):
        page = await render_template_string("Dear {{ current_user.name }}")

    assert page == "Dear Ada"


async def test_a_view_may_act_as_another_user_for_a_while(
    app: Quart, login_manager: LoginManager[User], sign_in: SignIn
) -> None:
    @app.get("/")
    @login_required
    async def mail() -> str:
        async with login_manager.as_user(GRACE):
            letter = await render_template_string("Dear {{ current_user.name }}")
        return f"{letter}, from {current_user.name}"

    response = await (await sign_in(app)).get("/")

    assert await response.get_data(as_text=True) == "Dear Grace, from Ada"


async def test_other_requests_do_not_notice(app: Quart, login_manager: LoginManager[User], sign_in: SignIn) -> None:
    @app.get("/")
    @login_required
    async def name() -> str:
        return str(current_user.name)

    client = await sign_in(app, "2")
    assert isinstance(client, QuartClient)

    async with login_manager.as_user(ADA):
        pass
    response = await client.get("/")

    assert await response.get_data(as_text=True) == "Grace"
