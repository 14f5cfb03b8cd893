"""`login_required` on every kind of view that Quart accepts."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest
from quart import Blueprint, Quart, g, request, session, stream_with_context
from quart.views import MethodView, View
from users import GRACE, SignIn, User

from quartlogin import (
    LoginManager,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
)

GUARDS = pytest.mark.parametrize("guard", [login_required, fresh_login_required])


@pytest.fixture
def app(app: Quart, login_manager: LoginManager[User]) -> Quart:
    login_manager.session_protection = None  # so that a session without a fingerprint stays fresh
    return app


async def answers(app: Quart, sign_in: SignIn, path: str = "/", method: str = "GET") -> tuple[int, int, str]:
    """What an anonymous visitor gets, what Ada gets, and what she reads."""
    anonymous = await app.test_client().open(path, method=method)
    ada = await (await sign_in(app, "1", _fresh=True)).open(path, method=method)
    return anonymous.status_code, ada.status_code, await ada.get_data(as_text=True)


# --- functions ------------------------------------------------------------------------------------------------


async def a_coroutine() -> str:
    """Say whose it is."""
    return f"{current_user.name}'s"


def a_function() -> str:
    """Say whose it is."""
    return f"{current_user.name}'s"


async def of_somebody(prefix: str) -> str:
    return f"{prefix}{current_user.name}'s"


async def chunks() -> AsyncGenerator[str, None]:
    """Say whose it is."""
    yield f"{current_user.name}"
    await asyncio.sleep(0)
    yield "'s"


@GUARDS
@pytest.mark.parametrize("view", [a_coroutine, a_function, chunks], ids=["async def", "def", "async generator"])
async def test_every_kind_of_function_is_guarded(
    app: Quart, sign_in: SignIn, guard: Callable[..., Any], view: Callable[..., Any]
) -> None:
    app.add_url_rule("/", view_func=guard(view))

    assert await answers(app, sign_in) == (401, 200, "Ada's")


@GUARDS
@pytest.mark.parametrize("view", [a_coroutine, a_function, chunks], ids=["async def", "def", "async generator"])
def test_a_guarded_view_is_a_coroutine_function_with_the_same_name_and_words(
    guard: Callable[..., Any], view: Callable[..., Any]
) -> None:
    guarded = guard(view)

    assert inspect.iscoroutinefunction(guarded)
    assert not inspect.isasyncgenfunction(guarded)
    assert (guarded.__name__, guarded.__qualname__) == (view.__name__, view.__qualname__)
    assert guarded.__doc__ == view.__doc__ is not None
    assert guarded.__module__ == view.__module__
    assert guarded.__wrapped__ is view


async def test_a_partial_is_guarded(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=login_required(partial(of_somebody, "book: ")), endpoint="book")

    assert await answers(app, sign_in) == (401, 200, "book: Ada's")


async def test_a_def_view_may_return_a_generator(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    @login_required
    def view() -> Iterator[str]:
        name = current_user.name
        return (f"{name}{end}" for end in ("'s", " own"))

    assert await answers(app, sign_in) == (401, 200, "Ada'sAda own")


async def test_a_coroutine_may_return_an_async_generator(app: Quart, sign_in: SignIn) -> None:
    @app.get("/")
    @login_required
    async def view() -> AsyncGenerator[str, None]:
        @stream_with_context
        async def body() -> AsyncGenerator[str, None]:
            yield f"{current_user.name}'s {request.method}"

        return body()

    assert await answers(app, sign_in) == (401, 200, "Ada's GET")


async def test_a_decorator_between_route_and_guard_sees_the_guards_answer(app: Quart, sign_in: SignIn) -> None:
    seen: list[Any] = []

    def watch(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            seen.append(await view(*args, **kwargs))
            return seen[-1]

        return watched

    app.add_url_rule("/", view_func=watch(login_required(a_function)))

    assert await answers(app, sign_in) == (401, 200, "Ada's")
    assert seen == ["Ada's"]


async def test_a_decorator_below_the_guard_runs_for_users_only(app: Quart, sign_in: SignIn) -> None:
    seen: list[str] = []

    def watch(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            seen.append(current_user.name)
            return await view(*args, **kwargs)

        return watched

    app.add_url_rule("/", view_func=login_required(watch(a_coroutine)))

    assert await answers(app, sign_in) == (401, 200, "Ada's")
    assert seen == ["Ada"]


async def test_a_blueprints_view_is_guarded(app: Quart, sign_in: SignIn) -> None:
    shop = Blueprint("shop", "shop", url_prefix="/shop")
    shop.add_url_rule("/", view_func=login_required(a_coroutine))
    app.register_blueprint(shop)

    assert await answers(app, sign_in, "/shop/") == (401, 200, "Ada's")


async def test_a_blueprint_may_be_guarded_as_a_whole(app: Quart, sign_in: SignIn) -> None:
    shop = Blueprint("shop", "shop", url_prefix="/shop")

    @shop.before_request
    @login_required
    async def members_only() -> None:
        pass

    shop.add_url_rule("/", view_func=a_coroutine)
    app.register_blueprint(shop)
    app.add_url_rule("/", view_func=a_function)

    assert await answers(app, sign_in, "/shop/") == (401, 200, "Ada's")


# --- classes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init_every_request", [True, False])
async def test_a_method_view_is_guarded_as_a_whole(app: Quart, sign_in: SignIn, *, init_every_request: bool) -> None:
    every_request = init_every_request

    class Account(MethodView):
        decorators = [login_required]  # noqa: RUF012 -- Quart's way
        init_every_request = every_request

        async def get(self) -> str:
            return f"{current_user.name}'s"

        def post(self) -> str:
            return f"{current_user.name}'s new"

    app.add_url_rule("/", view_func=Account.as_view("account"))

    assert await answers(app, sign_in) == (401, 200, "Ada's")
    assert await answers(app, sign_in, method="POST") == (401, 200, "Ada's new")


async def test_one_method_of_a_method_view_may_be_guarded(app: Quart, sign_in: SignIn) -> None:
    class Shelf(MethodView):
        async def get(self, number: int) -> str:
            return f"shelf {number}"

        @login_required
        async def post(self, number: int) -> str:
            return f"shelf {number} of {current_user.name}"

        @login_required
        def put(self, number: int) -> str:
            return f"shelf {number} of {current_user.name} in a thread"

        @login_required
        async def patch(self, number: int) -> AsyncGenerator[str, None]:
            yield f"shelf {number} "
            yield f"of {current_user.name} in parts"

    app.add_url_rule("/<int:number>", view_func=Shelf.as_view("shelf"))

    assert await answers(app, sign_in, "/4") == (200, 200, "shelf 4")
    assert await answers(app, sign_in, "/4", "POST") == (401, 200, "shelf 4 of Ada")
    assert await answers(app, sign_in, "/4", "PUT") == (401, 200, "shelf 4 of Ada in a thread")
    assert await answers(app, sign_in, "/4", "PATCH") == (401, 200, "shelf 4 of Ada in parts")


async def test_a_view_class_is_guarded(app: Quart, sign_in: SignIn) -> None:
    class Page(View):
        decorators = [login_required]  # noqa: RUF012 -- Quart's way

        async def dispatch_request(self) -> str:  # type: ignore[override]
            return f"{current_user.name}'s"

    app.add_url_rule("/", view_func=Page.as_view("page"))

    assert await answers(app, sign_in) == (401, 200, "Ada's")


async def test_a_class_inherits_its_guard(app: Quart, sign_in: SignIn) -> None:
    class Members(MethodView):
        decorators = [login_required]  # noqa: RUF012 -- Quart's way

    class Page(Members):
        async def get(self) -> str:
            return f"{current_user.name}'s"

    app.add_url_rule("/", view_func=Page.as_view("page"))

    assert await answers(app, sign_in) == (401, 200, "Ada's")


# --- async generators -----------------------------------------------------------------------------------------


async def test_a_generator_has_everything_while_it_streams(app: Quart, sign_in: SignIn) -> None:
    @app.get("/<part>")
    @login_required
    async def stream(part: str) -> AsyncGenerator[str, None]:
        g.part = part
        yield f"{request.path} "
        await asyncio.sleep(0)
        yield f"{session['_user_id']} "
        yield f"{(await current_user).name} {current_user.name} "
        yield g.part

    assert await answers(app, sign_in, "/x") == (401, 200, "/x 1 Ada Ada x")


async def test_a_generator_loads_once(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    app.add_url_rule("/", view_func=login_required(chunks))

    await (await sign_in(app)).get("/")

    assert loads == ["1"]


async def test_a_generator_does_not_begin_for_a_visitor(app: Quart) -> None:
    begun: list[str] = []

    @app.get("/")
    @login_required
    async def stream() -> AsyncGenerator[str, None]:
        begun.append("begun")
        yield ""

    response = await app.test_client().get("/")

    assert response.status_code == 401
    assert begun == []


async def test_a_generators_answer_is_private(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/", view_func=login_required(chunks))

    response = await (await sign_in(app)).get("/")

    assert response.headers["Cache-Control"] == "private, no-store"


async def test_a_generator_is_streamed_and_not_collected(app: Quart, sign_in: SignIn) -> None:
    go_on = asyncio.Event()

    @app.get("/")
    @login_required
    async def stream() -> AsyncGenerator[str, None]:
        yield "first"
        await go_on.wait()
        yield "second"

    client: Any = await sign_in(app)
    async with asyncio.timeout(60), client.request("/") as connection:
        await connection.send_complete()
        first = await connection.receive()
        go_on.set()
        second = await connection.receive()

    assert (first, second) == (b"first", b"second")


async def test_a_generator_that_is_left_early_is_closed(app: Quart, sign_in: SignIn) -> None:
    closed = asyncio.Event()

    @app.get("/")
    @login_required
    async def stream() -> AsyncGenerator[str, None]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    client: Any = await sign_in(app)
    async with asyncio.timeout(60):
        async with client.request("/") as connection:
            await connection.send_complete()
            await connection.receive()
            await connection.disconnect()
        await closed.wait()

    assert closed.is_set()


async def test_two_streams_at_once_know_their_own_users(app: Quart, sign_in: SignIn) -> None:
    both = asyncio.Barrier(2)

    @app.get("/")
    @login_required
    async def stream() -> AsyncGenerator[str, None]:
        yield f"{current_user.name} "
        await both.wait()
        yield f"{current_user.name} {session['_user_id']}"

    ada, grace = await sign_in(app, "1"), await sign_in(app, "2")
    async with asyncio.timeout(60):
        pages = await asyncio.gather(ada.get("/"), grace.get("/"))

    assert [await page.get_data(as_text=True) for page in pages] == ["Ada Ada 1", "Grace Grace 2"]


async def test_options_of_a_generator_pass_unasked(app: Quart, sign_in: SignIn, loads: list[str]) -> None:
    @app.route("/", methods=["GET", "OPTIONS"], provide_automatic_options=False)
    @login_required
    async def stream() -> AsyncGenerator[str, None]:
        yield request.method

    assert await answers(app, sign_in, method="OPTIONS") == (200, 200, "OPTIONS")
    assert loads == []


async def test_a_generator_after_login_user_knows_the_new_user(app: Quart) -> None:
    guarded = login_required(chunks)

    @app.get("/")
    async def home() -> Any:
        await login_user(GRACE)
        return await guarded()

    response = await app.test_client().get("/")

    assert await response.get_data(as_text=True) == "Grace's"
