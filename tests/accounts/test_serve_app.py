"""`quartlogin serve --app`: an app of somebody's own, under a real Hypercorn."""

import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from client import PASSWORD
from servers import PATIENCE, SCRIPTS, Server, free_port, running

#: Each starts a process of its own, or applies migrations.
pytestmark = pytest.mark.slow

QUARTLOGIN = str(SCRIPTS / "quartlogin")
SHOP = """
import os

from quart import Quart
from quartlogin import current_user, login_required
from quartlogin.accounts import Accounts

accounts = Accounts(database="app.sqlite3", page_after_login="/mine")


def create_app():
    app = Quart(__name__)
    app.secret_key = os.environ.get("SHOP_KEY")
    accounts.init_app(app)

    @app.get("/mine")
    @login_required
    async def mine():
        return f"of {current_user.username} by {os.getpid()}"

    return app
"""

Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve a module with an app in an empty folder."""

    @contextmanager
    def serve(*options: str, text: str = SHOP, **environment: str) -> Iterator[Server]:
        (tmp_path / "shop.py").write_text(text, encoding="utf-8")
        port = free_port()
        command = [QUARTLOGIN, "serve", "--app", "shop:create_app", "--port", str(port), *options]
        with running(command, port, tmp_path, PYTHONDONTWRITEBYTECODE="1", **environment) as server:
            yield server

    return serve


def token_in(page: httpx.Response) -> str:
    return re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]


def sign_in(client: httpx.Client, username: str = "ada") -> httpx.Response:
    token = token_in(client.get("/login"))
    return client.post("/login", data={"csrf_token": token, "username": username, "password": PASSWORD})


def create_ada(folder: Path, **environment: str) -> None:
    command = [QUARTLOGIN, "user", "create", "Ada", "--password-stdin", "--app", "shop:create_app"]
    subprocess.run(command, input=PASSWORD, text=True, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)


@pytest.mark.slow
def test_serve_serves_an_app_with_a_key_that_only_its_owner_can_read(serve: Serve, tmp_path: Path) -> None:
    with serve() as server, httpx.Client(base_url=server.url, timeout=PATIENCE, follow_redirects=True) as client:
        create_ada(tmp_path)
        page = sign_in(client)
        server.stop()

    assert page.text.startswith("of Ada by ")
    key = tmp_path / "app.sqlite3.secret-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (tmp_path / "quartlogin.sqlite3").exists()
    printed = server.log.read_text()
    assert f"Serving shop:create_app at http://localhost:{server.port} " in printed
    assert key.name in printed
    assert '"signed_in"' in printed
    assert "Traceback" not in printed
    assert server.process.returncode == 0


@pytest.mark.slow
def test_two_workers_serve_one_sign_in_of_an_app_and_end_gracefully(serve: Serve, tmp_path: Path) -> None:
    with (
        serve("--workers", "2") as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE, follow_redirects=True) as client,
    ):
        create_ada(tmp_path)
        sign_in(client)
        texts = [
            httpx.get(f"{server.url}/mine", cookies=dict(client.cookies), timeout=PATIENCE).text for _ in range(20)
        ]
        server.stop()

    assert {text.rpartition(" by ")[0] for text in texts} == {"of Ada"}
    assert str(server.process.pid) not in {text.rpartition(" by ")[2] for text in texts}
    assert server.process.returncode == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sign_in_to_an_app_outlives_the_server(serve: Serve, tmp_path: Path, workers: str) -> None:
    cookies = {}
    with serve("--workers", workers) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        create_ada(tmp_path)
        sign_in(client)
        cookies = dict(client.cookies)
    with serve("--workers", workers) as server:
        assert httpx.get(f"{server.url}/mine", cookies=cookies, timeout=PATIENCE).text.startswith("of Ada")


def test_the_key_of_the_app_comes_first(serve: Serve, tmp_path: Path) -> None:
    with serve(SHOP_KEY="a key of the shop, of more than 32 characters"):
        pass

    assert [path.name for path in tmp_path.glob("*secret-key")] == []


def refused(folder: Path, text: str, *options: str) -> str:
    """Return the one sentence with which `serve` refuses an app."""
    (folder / "shop.py").write_text(text, encoding="utf-8")
    command = [QUARTLOGIN, "serve", "--app", "shop:create_app", "--port", str(free_port()), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=PATIENCE, check=False)
    sentences = {*done.stderr.splitlines()}
    assert (done.returncode, len(sentences)) == (1, 1), done.stderr
    [sentence] = sentences
    assert sentence.startswith("Error: ")
    return sentence


def test_an_app_without_a_key_is_not_served_to_others(tmp_path: Path) -> None:
    assert "SECRET_KEY" in refused(tmp_path, SHOP, "--host", "0.0.0.0")
    assert not (tmp_path / "app.sqlite3.secret-key").exists()


def test_an_app_without_accounts_is_not_served(tmp_path: Path) -> None:
    assert "Accounts" in refused(tmp_path, "from quart import Quart\ndef create_app(): return Quart('shop')\n")


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_accounts_that_do_not_start_are_one_sentence(tmp_path: Path, workers: str) -> None:
    """Each worker starts the app; whatever it says, it says once in each, without a traceback."""
    text = SHOP.replace("Accounts(", "Accounts(create_tables=False, ")

    assert "init-db" in refused(tmp_path, text, "--workers", workers)


def test_an_app_that_fails_at_its_start_ends_the_server(tmp_path: Path) -> None:
    text = SHOP.replace("    return app\n", "    @app.before_serving\n    async def fail(): 1 / 0\n    return app\n")
    (tmp_path / "shop.py").write_text(text, encoding="utf-8")
    command = [QUARTLOGIN, "serve", "--app", "shop:create_app", "--port", str(free_port())]

    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE, check=False)

    assert done.returncode == 1
    assert re.search(r"^Error: .*ZeroDivisionError.*shop\.py", done.stderr, re.MULTILINE)
