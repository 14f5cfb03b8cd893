"""`login_exempt`: every way to mark a view, and what cannot be marked."""

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Blueprint, Quart, websocket
from quart.testing.connections import WebsocketResponseError
from quart.views import MethodView, View
from users import SignIn, User

from quartlogin import LoginManager, login_exempt, login_required


@pytest.fixture
def login_manager() -> LoginManager[User]:
    return LoginManager(require_login=True)


async def status(app: Quart, path: str, method: str = "GET") -> int:
    return (await app.test_client().open(path, method=method)).status_code


async def text(app: Quart, path: str) -> str:
    return str(await (await app.test_client().get(path)).get_data(as_text=True))


class Pages:
    """Views that are methods of an object."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def page(self) -> str:
        return self.name

    def in_thread(self) -> str:
        return self.name

    async def stream(self) -> AsyncIterator[str]:
        yield self.name

    @login_exempt
    async def marked(self) -> str:
        return self.name

    @login_exempt
    @classmethod
    async def of_class(cls) -> str:
        return "class"

    @login_exempt
    @staticmethod
    async def static() -> str:
        return "static"


class Callable:
    """A view that is an object."""

    __name__ = "callable"

    def __call__(self) -> str:
        return "called"


class Closed:
    """A callable object that takes no mark."""

    __slots__ = ()

    def __call__(self) -> str:
        return ""


# --- methods of objects -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["page", "in_thread", "stream"])
async def test_a_bound_method_is_open_and_its_fellows_are_not(app: Quart, name: str) -> None:
    mine, yours = Pages("mine"), Pages("yours")
    app.add_url_rule("/mine", "mine", view_func=login_exempt(getattr(mine, name)))
    app.add_url_rule("/yours", "yours", view_func=getattr(yours, name))

    assert await text(app, "/mine") == "mine"
    assert await status(app, "/yours") == 401


async def test_a_bound_method_keeps_its_name_for_the_endpoint(app: Quart) -> None:
    app.add_url_rule("/", view_func=login_exempt(Pages("mine").page))

    assert "page" in app.view_functions


@pytest.mark.parametrize("name", ["marked", "of_class", "static"])
async def test_a_method_that_is_marked_in_its_class_is_open(app: Quart, name: str) -> None:
    app.add_url_rule("/", view_func=getattr(Pages("mine"), name))

    assert await status(app, "/") == 200


async def test_an_object_that_can_be_called_and_a_partial_are_open(app: Quart) -> None:
    app.add_url_rule("/object", "object", view_func=login_exempt(Callable()))
    app.add_url_rule("/partial", "partial", view_func=login_exempt(functools.partial(Pages.page, Pages("partial"))))

    assert [await text(app, path) for path in ("/object", "/partial")] == ["called", "partial"]


# --- methods of a MethodView ------------------------------------------------------------------------------------


class Items(MethodView):
    """Everybody may read, and only users may write."""

    @login_exempt
    async def get(self) -> str:
        return "items"

    async def post(self) -> str:
        return "added"


class MoreItems(Items):
    """Reads in a way of its own, unmarked."""

    async def get(self) -> str:
        return "more items"


class SameItems(Items):
    """Inherits the marked method."""


async def test_a_method_of_a_method_view_is_open_and_the_others_are_not(app: Quart, sign_in: SignIn) -> None:
    app.add_url_rule("/items", view_func=Items.as_view("items"))

    statuses = [await status(app, "/items", method) for method in ("GET", "HEAD", "POST")]
    of_ada = await (await sign_in(app)).post("/items")

    assert statuses == [200, 200, 401]
    assert of_ada.status_code == 200


async def test_the_mark_is_the_methods_not_its_names(app: Quart) -> None:
    app.add_url_rule("/more", view_func=MoreItems.as_view("more"))
    app.add_url_rule("/same", view_func=SameItems.as_view("same"))

    assert [await status(app, path) for path in ("/more", "/same")] == [401, 200]


async def test_a_head_of_its_own_is_not_opened_by_get(app: Quart) -> None:
    class WithHead(Items):
        async def head(self) -> str:
            return ""

    app.add_url_rule("/", view_func=WithHead.as_view("page"))

    assert [await status(app, "/", method) for method in ("GET", "HEAD")] == [200, 401]


@pytest.mark.parametrize("kind", [View, MethodView])
async def test_the_method_that_serves_every_request_may_be_marked(app: Quart, kind: Any) -> None:
    class Page(kind):  # type: ignore[misc]
        @login_exempt
        async def dispatch_request(self, **kwargs: Any) -> str:
            return ""

        async def get(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Page.as_view("page"))

    assert await status(app, "/") == 200


async def test_a_marked_method_with_a_guard_of_its_own_is_guarded(app: Quart) -> None:
    class Page(MethodView):
        @login_exempt
        @login_required
        async def get(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Page.as_view("page"))

    assert await status(app, "/") == 401


# --- blueprints -------------------------------------------------------------------------------------------------


async def page() -> str:
    return "page"


@pytest.fixture
def blueprints(app: Quart) -> dict[str, Blueprint]:
    """`shop` with `admin` in it, and `forum`; each has a page."""
    made = {name: Blueprint(name, name, url_prefix=f"/{name}") for name in ("shop", "admin", "forum")}
    for blueprint in made.values():
        blueprint.add_url_rule("/", "page", page)
    made["shop"].register_blueprint(made["admin"])
    app.register_blueprint(made["forum"])
    return made


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_blueprints_views_are_open_whenever_it_is_marked(
    app: Quart, blueprints: dict[str, Blueprint], when: str
) -> None:
    marked = login_exempt(blueprints["shop"]) if when == "before" else blueprints["shop"]
    app.register_blueprint(marked)
    login_exempt(marked)

    assert marked is blueprints["shop"]
    assert await status(app, "/shop/") == 200
    assert await status(app, "/forum/") == 401


async def test_a_blueprint_inside_a_marked_one_has_to_be_marked_itself(
    app: Quart, blueprints: dict[str, Blueprint]
) -> None:
    login_exempt(blueprints["shop"])
    app.register_blueprint(blueprints["shop"])
    guarded = await status(app, "/shop/admin/")
    login_exempt(blueprints["admin"])

    assert (guarded, await status(app, "/shop/admin/")) == (401, 200)


async def test_a_marked_blueprint_inside_another_opens_only_itself(
    app: Quart, blueprints: dict[str, Blueprint]
) -> None:
    login_exempt(blueprints["admin"])
    app.register_blueprint(blueprints["shop"])

    assert [await status(app, path) for path in ("/shop/", "/shop/admin/")] == [401, 200]


async def test_a_blueprint_under_another_name_is_open_under_each(app: Quart, blueprints: dict[str, Blueprint]) -> None:
    login_exempt(blueprints["shop"])
    app.register_blueprint(blueprints["shop"])
    app.register_blueprint(blueprints["shop"], name="second", url_prefix="/second")

    assert [await status(app, path) for path in ("/shop/", "/second/")] == [200, 200]


async def test_a_marked_blueprints_websocket_is_open(app: Quart, blueprints: dict[str, Blueprint]) -> None:
    async def greet() -> None:
        await websocket.send("hello")

    for name in ("shop", "admin"):
        blueprints[name].add_websocket("/live", "live", greet)
    login_exempt(blueprints["shop"])
    app.register_blueprint(blueprints["shop"])

    async with app.test_client().websocket("/shop/live") as connection:
        assert await connection.receive() == "hello"
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/shop/admin/live") as connection:
            await connection.receive()


async def test_a_guarded_view_in_a_marked_blueprint_is_guarded(app: Quart, blueprints: dict[str, Blueprint]) -> None:
    blueprints["shop"].add_url_rule("/mine", "mine", login_required(page))
    login_exempt(blueprints["shop"])
    app.register_blueprint(blueprints["shop"])

    assert await status(app, "/shop/mine") == 401


# --- what cannot be marked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [Quart("app"), Pages, Closed(), len, "shop.page", None, 1, page(), property(lambda self: "")],
    ids=lambda thing: type(thing).__name__,
)
def test_what_cannot_be_marked_is_refused_at_once(thing: Any) -> None:
    with pytest.raises(TypeError, match="login_exempt"):
        login_exempt(thing)
    if hasattr(thing, "close"):
        thing.close()
