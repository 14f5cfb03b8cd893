"""What a request does not use is not computed: exact counts, not times."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from itsdangerous import Signer
from quart import Quart, render_template_string
from quart_auth import QuartAuth
from users import ADA, User

import quartlogin.flask_login
from quartlogin import LoginManager, SignedSessionInterface, current_user, login_user
from quartlogin.sessions.serializer import CachingSigner

DONE = Counter[str]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> DONE:
    """Count signatures, tokens, fingerprints and thread hops."""
    counts: DONE = Counter()

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(QuartAuth, "load_token")
    count(QuartAuth, "dump_token")
    count(Signer, "get_signature")
    for signer in (Signer, CachingSigner):
        count(signer, "verify_signature")
    count(quartlogin.flask_login, "sha512")
    count(asyncio.BaseEventLoop, "run_in_executor")
    return counts


@pytest.fixture
def site() -> Quart:
    app = Quart("site")
    app.secret_key = "a key for tests, of more than 32 characters"
    app.session_interface = SignedSessionInterface()
    manager: LoginManager[User] = LoginManager(app)

    @manager.user_loader
    async def load(user_id: str) -> User:
        return ADA

    @app.get("/in")
    async def sign_in() -> str:
        await login_user(ADA, remember=True)
        return "in"

    @app.get("/plain")
    async def plain() -> str:
        return await render_template_string("A page like any other.")

    @app.get("/named")
    async def named() -> str:
        return await render_template_string("{{ current_user.name }}{{ current_user.name }}")

    @app.get("/asked")
    async def asked() -> str:
        return str((await current_user).name)

    return app


async def test_a_page_that_ignores_the_user_costs_a_visitor_nothing(site: Quart, done: DONE) -> None:
    await site.test_client().get("/plain")

    assert done == {}


async def test_a_page_that_ignores_the_user_verifies_no_cookie(site: Quart, done: DONE) -> None:
    """Quart opens the session of every request; ours is read when somebody looks at it."""
    client = site.test_client()
    await client.get("/in")
    done.clear()

    await client.get("/plain")

    assert done == {}


@pytest.mark.parametrize("path", ["/named", "/asked"])
async def test_a_page_that_names_the_user_makes_no_token_and_no_thread_hop(site: Quart, done: DONE, path: str) -> None:
    client = site.test_client()
    await client.get("/in")
    done.clear()

    await client.get(path)

    assert done == {"verify_signature": 1}


async def test_templates_cost_no_context_processor(site: Quart) -> None:
    processors = Quart("bare").template_context_processors[None]

    assert [each.__name__ for each in site.template_context_processors[None]] == [each.__name__ for each in processors]


def test_a_conflicting_quart_auth_is_reported() -> None:
    app = Quart("both")
    QuartAuth(app)

    with pytest.warns(UserWarning, match=r"QuartAuth\(app, singleton=False\)"):
        LoginManager(app)


def test_a_quart_auth_without_conflict_is_not_reported(recwarn: pytest.WarningsRecorder) -> None:
    app = Quart("both")
    QuartAuth(app, singleton=False)

    LoginManager(app)

    assert list(recwarn) == []
