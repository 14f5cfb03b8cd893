"""Web cache deception: a shared cache that keeps all it may shows no visitor another's page."""

from typing import Any

import pytest
from quart import Quart, render_template_string

from client import KEY, Page, Visitor, header_of, make_token
from quartlogin import LoginManager, SignedSessionInterface, UserMixin, current_user, login_user
from shared_cache import SharedCache

PATHS = [
    *("/", "/login", "/logout", "/register", "/account", "/account/password", "/account/delete", "/reauthenticate"),
    *(
        "/api/me",
        "/nowhere",
        "/account/tokens",
        "/static/accounts/style.css",
        "/static/accounts/nothing.css",
        "/favicon.ico",
        "/healthz",
    ),
]


def cache_before(app: Quart) -> SharedCache:
    client = app.test_client(use_cookies=False)

    async def ask(path: str, headers: dict[str, str]) -> Page:
        answer = await client.get(path, headers=headers)
        return Page(answer.status_code, await answer.get_data(as_text=True), answer.headers)

    return SharedCache(ask)


@pytest.mark.requirement("V7", "V8")
async def test_web_cache_deception_private_pages_and_forms_are_never_shared(app: Quart) -> None:
    cache, alice, bob = cache_before(app), Visitor(app.test_client()), Visitor(app.test_client())
    await alice.register("Alice")
    await bob.register("Bob")
    bearer = {"Authorization": f"Bearer {await make_token(alice)}"}
    senders: dict[str, dict[str, str]] = {
        "nobody": {},
        "Alice": header_of(alice.cookies),
        "Alice's program": bearer,
        "Bob": header_of(bob.cookies),
        "nobody again": {},
    }

    seen = {name: [await cache.get(path, headers) for path in PATHS] for name, headers in senders.items()}

    told = {name: "".join(page.text for page in pages) for name, pages in seen.items()}
    assert "Alice" in told["Alice"]
    assert "Alice" in told["Alice's program"]
    assert "Bob" in told["Bob"]
    assert "Alice" not in told["Bob"] + told["nobody again"]
    assert "Bob" not in told["nobody again"]
    assert "Set-Cookie" not in "".join(str(page.headers) for page in cache.kept.values())
    assert "csrf_token" not in "".join(page.text for page in cache.kept.values())


@pytest.mark.requirement("V8")
async def test_public_files_are_cached(app: Quart) -> None:
    cache = cache_before(app)

    first = await cache.get("/static/accounts/style.css", {})
    second = await cache.get("/static/accounts/style.css", {})

    assert second is first


@pytest.mark.requirement("V7", "V8")
async def test_web_cache_deception_pages_of_an_app_with_the_extension_are_never_shared() -> None:
    app = Quart("one")
    app.secret_key = KEY
    app.session_interface = SignedSessionInterface()
    manager: LoginManager[Any] = LoginManager(app)

    class ImportedUser(UserMixin):
        id = "ada"

    @manager.user_loader
    async def load(_: str) -> ImportedUser:
        return ImportedUser()

    @app.get("/in")
    async def sign_in() -> str:
        await login_user(ImportedUser())
        return "in"

    @app.get("/template")
    async def template() -> str:
        return await render_template_string("hello {{ current_user.get_id() }}")

    @app.get("/public")
    async def public() -> Any:
        return f"hello {(await current_user).get_id()}", 200, {"Cache-Control": "public, max-age=600"}

    @app.get("/missing")
    async def missing() -> Any:
        return f"nothing for {(await current_user).get_id()}", 404

    visitor, cache = Visitor(app.test_client()), cache_before(app)
    await visitor.get("/in")

    ada = [await cache.get(path, header_of(visitor.cookies)) for path in ("/in", "/template", "/public", "/missing")]
    nobody = [await cache.get(path, {}) for path in ("/template", "/public", "/missing")]

    assert [page.text.rpartition(" ")[2] for page in ada] == ["in", "ada", "ada", "ada"]
    assert [page.text.rpartition(" ")[2] for page in nobody] == ["None", "None", "None"]
    assert not [page for page in cache.kept.values() if "ada" in page.text]
