"""Cryptography (ASVS V11): which algorithms and keys there are, and that there are no others."""

import ast
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from quart import Quart

from client import KEY, PASSWORD, Visitor, with_cheap_hashes
from databases import run_sql
from quartlogin import secret_key_weakness, tokens
from quartlogin.accounts import get_accounts
from quartlogin.accounts.security import csrf
from quartlogin.accounts.security.secret_key import new_key
from quartlogin.sessions import login_session
from quartlogin.webapp import create_app

ROOT = Path(__file__).parents[2]
#: Without the project that `quartlogin new` copies: an app's code, with tests of its own.
SOURCES = sorted(path for path in (ROOT / "quartlogin").rglob("*.py") if "new_project" not in path.parts)
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
KEYS = PAGE.partition("### Keys")[2].partition("\n#")[0]
OLD = "a former key for tests, of more than 32 characters"


@cache  # parsing takes a while, and whoever collects the tests does not need it
def trees() -> dict[str, ast.Module]:
    """The modules of the package by their paths."""
    return {path.relative_to(ROOT / "quartlogin").as_posix(): ast.parse(path.read_text("utf-8")) for path in SOURCES}


def imported_by(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def texts_of(tree: ast.AST) -> list[str]:
    """All texts of a module but for its docstrings."""
    words = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words
    ]


# --- which there is


@pytest.mark.requirement("11.2.1", "11.3.1", "11.3.2")
def test_cryptography_comes_from_known_libraries_and_nothing_is_encrypted() -> None:
    known = {"argon2", "bcrypt", "itsdangerous", "quart_auth", "hmac", "hashlib", "secrets"}
    others = {"cryptography", "Crypto", "nacl", "ssl", "jwt", "jose", "authlib", "passlib", "crypt"}

    used = set().union(*(imported_by(tree) for tree in trees().values()))

    assert known <= used
    assert not used & others
    assert [name for name in used if re.search("cipher|aes|crypt", name, re.IGNORECASE)] == ["bcrypt"]


@pytest.mark.requirement("11.4.1")
def test_outdated_hash_functions_are_not_used() -> None:
    named = [
        (name, text)
        for name, tree in trees().items()
        if not name.endswith("passwords/old_schemes.py")  # checks hashes that people come with, and makes none
        for text in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | set(texts_of(tree))
    ]

    outdated = re.compile(r"(?i)md[245]|sha-?_?1|sha|ripemd.*|des|rc4|ecb")
    assert [(name, text) for name, text in named if outdated.fullmatch(text)] == []


@pytest.mark.requirement("11.5.1", "11.5.2")
def test_random_values_come_from_the_system_generator() -> None:
    assert [name for name, tree in trees().items() if imported_by(tree) & {"random", "uuid", "numpy"}] == []
    assert [name for name, tree in trees().items() if {"urandom", "getrandbits", "uuid4"} & set(texts_of(tree))] == []


@pytest.mark.requirement("11.5.1", "11.5.2")
async def test_secrets_have_at_least_128_bits_of_entropy(app: Quart, visitor: Visitor, database: str) -> None:
    await visitor.get("/login")
    before = session_of(app, visitor)
    await visitor.fill_in("/register", username="Alice", password=PASSWORD)
    session = session_of(app, visitor)
    [(user_id,)] = run_sql(database, "SELECT id FROM quartlogin_users")

    lengths = [len(base64.urlsafe_b64decode(text + "==")) for text in (before["_csrf"], session["_login_id"], user_id)]

    assert min(lengths) >= 16
    assert len(base64.urlsafe_b64decode(new_key() + "==")) >= 32


def session_of(app: Quart, visitor: Visitor) -> Any:
    serializer: Any = app.session_interface
    return serializer.get_signing_serializer(app).loads(visitor.cookies["quartlogin"])


#: Comparisons with == whose texts sound like secrets, and why they give no time away.
HARMLESS = {
    "token.login_id == login_session.login_id()",  # both were signed by us, and verified
    "token.login_id != old_id",  # the same
    "option('REMEMBER_COOKIE_PATH') != '/'",  # a setting
    "self.get_cookie_path(app) == '/'",  # a setting
    "plain != self.get_cookie_name(app)",  # names of cookies
    "key == self.secret_key",  # two settings, at the start
    "stamp['digest'] == _digest(present)",  # of templates, which anybody may read
    "_digest(text) == digest",  # the same
    "rows[0][0] != username_key",  # as entered, and as stored: both are names
    "keys != self._keys",  # the app's own, at the start
    "key != 'user_id'",  # names of a step's details
    "branch != secret",  # SHA-256 of secrets of 192 bits: nobody can choose a prefix
}


@pytest.mark.requirement("11.2.4")
def test_secrets_are_compared_in_constant_time() -> None:
    sounds_secret = re.compile("token|secret|digest|signature|hash|mac|csrf|key|cookie|fingerprint|password", re.I)

    # Those of explaining are about names and outcomes of cookies: it never sees a value. Commands answer no stranger.
    compared = {
        ast.unparse(node)
        for path, tree in trees().items()
        if not path.startswith(("explaining/", "webapp/cli/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)
    }

    assert {text for text in compared if sounds_secret.search(text)} == HARMLESS


@pytest.mark.requirement("11.4.2", "11.2.2")
async def test_stored_passwords_are_argon2id_with_the_current_parameters(database: str) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    async with app.test_app():
        await Visitor(app.test_client()).register("Alice")
    [(stored,)] = run_sql(database, "SELECT password_hash FROM quartlogin_passwords")

    found = extract_parameters(stored)

    assert found.type is Type.ID
    assert found.memory_cost >= {1: 47104, 2: 19456}.get(found.time_cost, 12288)
    assert (found.salt_len, found.hash_len) >= (16, 32)
    assert not PasswordHasher(parallelism=1).check_needs_rehash(stored)


@pytest.mark.requirement("11.4.3", "11.4.1")
async def test_signatures_have_256_bits(app: Quart, visitor: Visitor) -> None:
    page = await visitor.get("/register")
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")

    signed = {name: cookie.rpartition(".")[2] for name, cookie in visitor.cookies.items()}

    assert signed.keys() == {"quartlogin", "quartlogin_remember", "quartlogin_browser"}
    assert {len(base64.urlsafe_b64decode(text + "==")) for text in signed.values()} == {32, 64}
    assert len(bytes.fromhex(page.token)) == 32


@pytest.mark.requirement("11.2.3")
@pytest.mark.parametrize("key", ["x" * 31, "ab" * 40, "a" * 1000, "changeme" * 8, "0123456789" * 3])
def test_guessable_keys_are_rejected(key: str) -> None:
    assert secret_key_weakness(key) is not None


# --- the inventory


@pytest.mark.requirement("11.1.1", "11.1.2")
async def test_the_key_inventory_names_each_purpose_and_algorithm(app: Quart) -> None:
    interface: Any = app.session_interface
    session = interface.get_signing_serializer(app)
    async with app.app_context():
        signers = {purpose: tokens._signer(purpose) for purpose in ("remember", "bearer")}
    browsers = get_accounts(app).device_cookies._signer

    in_page = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", KEYS, re.MULTILINE))

    assert in_page == {
        session.salt.decode(): "HMAC-SHA-256",
        **{signer.salt: "HMAC-SHA-512" for signer in signers.values()},
        browsers.salt.decode(): "HMAC-SHA-256",
        csrf._PURPOSE.decode(): "HMAC-SHA-256",
        login_session._MARK_PURPOSE.decode(): "HMAC-SHA-256",
        "quartlogin audit log": "HMAC-SHA-256",
        "quartlogin parameters of unknown names": "HMAC-SHA-256",
    }
    assert session.signer_kwargs["digest_method"] is sha256
    assert browsers.signer_kwargs["digest_method"] is sha256
    assert signers["remember"].serializer_class("key", "salt").signer_kwargs["digest_method"] is sha512


@pytest.mark.requirement("11.1.2")
def test_the_key_inventory_is_complete() -> None:
    purposes = {
        (node.value.decode() if isinstance(node.value, bytes) else node.value)
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and re.match(rb"quartlogin [a-z ]*(?:token|session|browser|log)?\b", _bytes(node.value))
        and len(node.value) < 40
        and b" --" not in _bytes(node.value)  # a command
    }

    assert [purpose for purpose in purposes if purpose.strip() not in KEYS] == []


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


# --- replacing a key


@asynccontextmanager
async def application(database: str, key: str, *former: str) -> AsyncIterator[Quart]:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=key, SECRET_KEY_FALLBACKS=list(former)))
    async with app.test_app():
        yield app


async def everything_signed(app: Quart) -> tuple[dict[str, str], str, str]:
    """The cookies, a form's token and an API token of somebody who is remembered."""
    visitor = Visitor(app.test_client())
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    return visitor.cookies, page.token, re.search(r"<code>([\w.-]{40,})</code>", made.text)[1]  # type: ignore[index]


async def what_counts(app: Quart, cookies: dict[str, str], form_token: str, api_token: str) -> dict[str, bool]:
    async def ask(method: str, path: str, cookie: str, **options: Any) -> int:
        headers = {"Cookie": f"{cookie}={cookies[cookie]}"} if cookie else {}
        visitor = Visitor(app.test_client(use_cookies=False))
        return (
            await visitor.request(method, path, headers={**headers, **options.pop("headers", {})}, **options)
        ).status

    form = {"form": {"csrf_token": form_token, "name": "another"}}
    return {
        "session": await ask("GET", "/account", "quartlogin") == 200,
        "form": await ask("POST", "/account/tokens", "quartlogin", **form) == 200,
        "remember": await ask("GET", "/account", "quartlogin_remember") == 200,
        "bearer": await ask("GET", "/api/me", "", headers={"Authorization": f"Bearer {api_token}"}) == 200,
    }


@pytest.mark.requirement("11.2.2", "13.3.4")
async def test_key_rotation_keeps_logins_and_a_removed_key_is_invalid(database: str) -> None:
    async with application(database, OLD) as app:
        signed = await everything_signed(app)
    async with application(database, KEY, OLD) as app:
        after_the_change = await what_counts(app, *signed)
    async with application(database, KEY) as app:
        after_it_is_dropped = await what_counts(app, *signed)

    assert after_the_change == dict.fromkeys(("session", "form", "remember", "bearer"), True)
    assert after_it_is_dropped == dict.fromkeys(("session", "form", "remember", "bearer"), False)


# --- what is in the package, and in what goes with it


@pytest.mark.requirement("13.3.1", "13.2.3")
def test_hard_coded_keys_do_not_exist_in_modules() -> None:
    harmless = {"abcdefghjkmnpqrstuvwxyz23456789"}  # the letters of temporary passwords
    published = {"192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "5f352379324c22463451387a0aec5d2f"}

    random_looking = {
        text
        for path in SOURCES
        for text in texts_of(ast.parse(path.read_text("utf-8")))
        if re.fullmatch(r"[A-Za-z0-9_+/=-]{24,}", text) and len(set(text)) >= 10 and re.search(r"\d", text)
    }

    assert random_looking <= harmless | published  # those are refused as keys


@pytest.mark.requirement("13.3.1", "13.2.3")
def test_the_package_contains_no_key_certificate_or_database() -> None:
    folders = [ROOT / "quartlogin", ROOT / "templates", ROOT / "examples", ROOT / "docs"]

    files = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]

    assert [
        path for path in files if re.search(r"\.(pem|key|secret-key|sqlite3|db|env)(-wal|-shm)?$|^\.env", path.name)
    ] == []
    assert [path.name for path in files if b"PRIVATE KEY--" in path.read_bytes()] == []


@pytest.mark.requirement("13.2.3")
def test_hard_coded_keys_do_not_exist_in_examples() -> None:
    setting = re.compile(r"(?:secret_key|SECRET_KEY)\"?\]?\s*[=:]\s*\"([^\"]+)\"")

    keys = [key for path in (ROOT / "examples").rglob("*.py") for key in setting.findall(path.read_text("utf-8"))]

    assert keys == []


@pytest.mark.requirement("1.3.2", "1.5.2", "1.3.7")
def test_data_is_never_executed() -> None:
    called = {
        node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    imported = set().union(*(imported_by(tree) for tree in trees().values()))

    assert not called & {"eval", "exec", "__import__", "system", "popen", "render_template_string", "from_string"}
    assert not imported & {"pickle", "marshal", "shelve", "yaml", "subprocess", "dill", "xml", "lxml"}
