"""The application's cookies beside those of other applications on the same host."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from client import KEY, PASSWORD, Page, Visitor, add_user, with_cheap_hashes
from quartlogin.webapp import create_app

Make = Callable[..., Awaitable[Quart]]
GATEWAY = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl", "Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes an application with Alice's account, and starts it."""
    async with AsyncExitStack() as stack:

        async def make(name: str = "one", key: str = KEY, **settings: Any) -> Quart:
            database = str(tmp_path / f"{name}.sqlite3")
            app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=key, **settings))
            await stack.enter_async_context(app.test_app())
            await add_user(app, "Alice")
            return app

        yield make


async def sign_in(visitor: Visitor, **options: Any) -> Page:
    page = await visitor.get("/login", **options)
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "remember": "y"}
    return await visitor.post("/login", fields, **options)


def set_by(page: Page) -> dict[str, str]:
    return {line.partition("=")[0]: line.partition("; ")[2] for line in page.headers.getlist("Set-Cookie")}


@pytest.mark.requirement("3.3.3")
@pytest.mark.parametrize("path", ["/", "/accounts"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_each_cookie_has_the_prefix_that_its_path_allows(make: Make, path: str, scheme: str) -> None:
    names = {"SESSION_COOKIE_NAME": "ours", "REMEMBER_COOKIE_NAME": "kept", "DEVICE_COOKIE_NAME": "known"}
    app = await make(COOKIE_PATH=path, **names)
    visitor, below = Visitor(app.test_client()), {} if path == "/" else {"root_path": path}

    page = await visitor.get(f"{path.rstrip('/')}/login", scheme=scheme, **below)
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "remember": "y"}
    cookies = set_by(await visitor.post(f"{path.rstrip('/')}/login", fields, scheme=scheme, **below))

    prefix = "" if scheme == "http" else "__Host-" if path == "/" else "__Secure-"
    assert cookies.keys() == {prefix + name for name in names.values()}
    for attributes in cookies.values():
        assert re.search(r"Path=([^;]+)", attributes)[1] == path  # type: ignore[index]
        assert ("Secure" in attributes) is (scheme == "https")
    account = await visitor.get(f"{path.rstrip('/')}/account", scheme=scheme, **below)
    assert account.status == 200


async def test_two_applications_on_one_host_with_other_names_do_not_disturb_each_other(make: Make) -> None:
    one = await make("one")
    two = await make(
        "two",
        key=KEY[::-1],
        SESSION_COOKIE_NAME="two",
        REMEMBER_COOKIE_NAME="two_remember",
        DEVICE_COOKIE_NAME="two_browser",
    )
    first, second = Visitor(one.test_client()), Visitor(two.test_client())
    second.client.cookie_jar = first.client.cookie_jar  # the same browser: ports are not told apart
    await sign_in(first)
    await sign_in(second)

    assert (await first.is_signed_in(), await second.is_signed_in()) == (True, True)
    await first.sign_out()
    assert (await first.is_signed_in(), await second.is_signed_in()) == (False, True)


async def test_a_visit_to_an_application_with_the_same_cookie_names_signs_no_user_out(make: Make) -> None:
    one, two = await make("one"), await make("two", key=KEY[::-1])
    first, second = Visitor(one.test_client()), Visitor(two.test_client())
    second.client.cookie_jar = first.client.cookie_jar
    await sign_in(first)
    before = first.cookies

    for path in ("/", "/account", "/healthz", "/api/me"):
        await second.get(path)

    assert {name: first.cookies.get(name) for name in before if name != "quartlogin"} == {
        name: value for name, value in before.items() if name != "quartlogin"
    }
    first.client.delete_cookie("localhost", "quartlogin")
    assert await first.is_signed_in()


async def test_an_account_that_is_deleted_leaves_the_device_cookie_of_another_application(make: Make) -> None:
    visitor = Visitor((await make()).test_client())
    await sign_in(visitor)
    visitor.client.set_cookie("localhost", "quartlogin_browser", "anothers")

    deleted = await visitor.fill_in("/account/delete", password=PASSWORD)

    assert deleted.status == 302
    assert visitor.cookies["quartlogin_browser"] == "anothers"


# --- the form token ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("7.2.4")
async def test_csrf_tokens_from_before_a_sign_in_are_invalid_after_it_and_after_the_sign_out(make: Make) -> None:
    """Session fixation: somebody may have planted the visitor's session, and known its token."""
    visitor = Visitor((await make()).test_client())
    planted = (await visitor.get("/login")).token
    await sign_in(visitor)
    inside = await visitor.post("/logout", {"csrf_token": planted})
    await visitor.sign_out()
    outside = await visitor.post("/login", {"csrf_token": planted, "username": "Alice", "password": PASSWORD})

    assert inside.status in range(400, 500)
    assert outside.status in range(400, 500)


@pytest.mark.requirement("3.5.1")
async def test_csrf_a_form_behind_a_gateway_that_adds_a_bearer_token_needs_its_form_token(make: Make) -> None:
    visitor = Visitor((await make()).test_client())
    await sign_in(visitor, headers=GATEWAY)
    account = await visitor.get("/account", headers=GATEWAY)

    without = await visitor.post("/account/logins/revoke-others", {}, headers=GATEWAY)
    foreign = await visitor.post(
        "/account/logins/revoke-others",
        {"csrf_token": account.token},
        headers={**GATEWAY, "Origin": "https://evil.example"},
    )

    assert account.status == 200
    assert (without.status, foreign.status) == (400, 403)
