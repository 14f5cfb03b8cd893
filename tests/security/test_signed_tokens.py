"""Forgery, replay and decompression bombs of all that is signed: cookies, API tokens, CSRF tokens.

Each is valid only under its own key, for its own purpose, at its own site, and costs nothing before its signature is
verified (ASVS V9).
"""

import hmac
import json
import time
import tracemalloc
import zlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha1, sha256, sha512
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer
from quart import Quart
from quart_auth import QuartAuth

from amounts import examples
from client import KEY, PASSWORD, Visitor, header_of, make_token, who_is, with_cheap_hashes
from quartlogin import LoginManager, SignedSessionInterface, tokens
from quartlogin.accounts.security.device_cookies import DeviceCookies
from quartlogin.accounts.security.rate_limits import counter_of_user
from quartlogin.webapp import create_app

OLD = "an old key for tests, also of more than 32 characters"
MEGABYTE = 1024 * 1024
SESSION, REMEMBER, BROWSER = "quartlogin", "quartlogin_remember", "quartlogin_browser"


@dataclass(frozen=True)
class Signed:
    """One of everything that a site signs for Alice."""

    cookies: dict[str, str]
    bearer: str
    form_token: str
    user_id: str

    @property
    def texts(self) -> dict[str, str]:
        return {**self.cookies, "bearer": self.bearer, "form": self.form_token}


async def sign_everything(app: Quart) -> Signed:
    visitor = Visitor(app.test_client())
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    bearer = await make_token(visitor)
    token = (await visitor.get("/")).token
    session = app.session_interface.get_signing_serializer(app).loads(visitor.cookies[SESSION])
    return Signed(visitor.cookies, bearer, token, session["_user_id"])


@asynccontextmanager
async def site(database: Path | str, key: str = KEY, fallbacks: tuple[str, ...] = ()) -> AsyncIterator[Quart]:
    app = with_cheap_hashes(create_app(DATABASE=str(database), SECRET_KEY=key, SECRET_KEY_FALLBACKS=list(fallbacks)))
    async with app.test_app():
        yield app


async def what_counts(app: Quart, signed: Signed) -> set[str]:
    """Which of them a site takes, each by itself and in its own place."""
    counting = {
        name for name in (SESSION, REMEMBER) if await who_is(app, **header_of({name: signed.cookies[name]})) != "nobody"
    }
    if await who_is(app, Authorization=f"Bearer {signed.bearer}") != "nobody":
        counting.add("bearer")
    if await is_form_token_taken(app, signed.cookies[SESSION], signed.form_token):
        counting.add("form")
    if await is_browser_known(app, signed.cookies[BROWSER], signed.user_id):
        counting.add(BROWSER)
    return counting


async def is_form_token_taken(app: Quart, session: str, token: str) -> bool:
    """Whether a form with this token is read; this one is refused for its name's sake, and changes nothing."""
    client = app.test_client(use_cookies=False)
    fields = {"csrf_token": token, "username": "", "password": ""}
    answer = await client.post("/register", form=fields, headers=header_of({SESSION: session}))
    return "Go back, reload the page" not in await answer.get_data(as_text=True)


async def is_browser_known(app: Quart, cookie: str, user_id: str) -> bool:
    devices = DeviceCookies(
        [*reversed(app.config["SECRET_KEY_FALLBACKS"]), app.secret_key], is_secure=False, on_invalid=lambda: None
    )
    async with app.test_request_context("/", headers=header_of({BROWSER: cookie})):
        return devices.find(counter_of_user(user_id), 0) is not None


# --- keys


@pytest.mark.requirement("V6", "9.1.3")
async def test_new_signatures_use_only_the_current_key(tmp_path: Path) -> None:
    database = tmp_path / "people.sqlite3"
    async with site(database, KEY, (OLD,)) as rotated:
        signed = await sign_everything(rotated)

    async with site(database, KEY) as with_present_key, site(database, OLD) as with_old_key:
        assert await what_counts(with_present_key, signed) == set(signed.texts)
        assert await what_counts(with_old_key, signed) == set()


@pytest.mark.requirement("V6")
async def test_signatures_of_a_fallback_key_are_accepted_while_it_is_kept(tmp_path: Path) -> None:
    database = tmp_path / "people.sqlite3"
    async with site(database, OLD) as before:
        signed = await sign_everything(before)

    async with site(database, KEY, (OLD,)) as rotated:
        kept = await what_counts(rotated, signed)
    async with site(database, KEY) as dropped:
        gone = await what_counts(dropped, signed)

    assert kept == set(signed.texts)
    assert gone == set()


# --- purposes


@pytest.mark.requirement("9.2.2", "V31")
async def test_token_confusion_a_signed_value_is_invalid_for_any_other_purpose(app: Quart) -> None:
    signed = await sign_everything(app)

    taken = {
        (name, place)
        for name, text in signed.texts.items()
        for place in (SESSION, REMEMBER)
        if await who_is(app, **header_of({place: text})) != "nobody"
    }
    taken |= {
        (name, "bearer")
        for name, text in signed.texts.items()
        if await who_is(app, Authorization=f"Bearer {text}") != "nobody"
    }
    taken |= {
        (name, BROWSER) for name, text in signed.texts.items() if await is_browser_known(app, text, signed.user_id)
    }
    taken |= {
        (name, "form")
        for name, text in signed.texts.items()
        if await is_form_token_taken(app, signed.cookies[SESSION], text)
    }

    assert taken == {(name, name) for name in signed.texts}


# --- audiences


@pytest.mark.requirement("9.2.3", "9.2.4")
async def test_replay_of_a_signed_value_at_another_site_with_the_same_key_fails(tmp_path: Path) -> None:
    async with site(tmp_path / "one.sqlite3") as one, site(tmp_path / "other.sqlite3") as other:
        signed = await sign_everything(one)
        visitor = Visitor(other.test_client())
        await visitor.register("Alice")  # the same name, and another person

        found = {await who_is(other, **header_of({name: text})) for name, text in signed.cookies.items()}
        with_token = await who_is(other, Authorization=f"Bearer {signed.bearer}")
        forged = await is_form_token_taken(other, visitor.cookies[SESSION], signed.form_token)

    assert found == {"nobody"}
    assert with_token == "nobody"
    assert not forged


@pytest.mark.requirement("9.2.3", "9.2.4")
async def test_replay_apps_with_other_names_have_other_signatures_under_the_same_key() -> None:
    apps = [Quart("one"), Quart("other")]
    for app in apps:
        app.secret_key = KEY
        app.session_interface = SignedSessionInterface()
        LoginManager(app)
    token = tokens.Token("ada", "login", int(time.time()) + 100)

    signed_by_one = await dumped_by(apps[0], token)

    assert await loaded_by(apps[0], signed_by_one) == [{"_user_id": "ada"}, token, token]
    assert await loaded_by(apps[1], signed_by_one) == [{}, None, None]


async def dumped_by(app: Quart, token: tokens.Token) -> list[str]:
    session = app.session_interface.get_signing_serializer(app).dumps({"_user_id": "ada"})
    async with app.test_request_context("/"):
        return [session, tokens.dump("remember", token), tokens.dump("bearer", token)]


async def loaded_by(app: Quart, texts: list[str]) -> list[Any]:
    async with app.test_request_context("/"):
        session = await app.session_interface.open_session(app, SimpleNamespace(cookies={"session": texts[0]}))
        return [dict(session), tokens.load("remember", texts[1]), tokens.load("bearer", texts[2])]


# --- algorithms


def jwt(header: dict[str, Any], digest: Any = None) -> str:
    """A JSON Web Token that names its own algorithm, signed with our key if a digest is given."""
    claims = {"sub": "Alice", "_user_id": "Alice", "exp": int(time.time()) + 3600}
    body = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    signature = b"" if digest is None else hmac.digest(KEY.encode(), body, digest)
    return (body + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


def forged(user_id: str, login_id: str) -> list[str]:
    """Sessions and tokens with the right contents and the right key, signed in any way but the right one."""
    session = {"_user_id": user_id, "_login_id": login_id, "_fresh": True, "_fresh_at": int(time.time())}
    token = json.dumps([user_id, login_id, int(time.time()) + 3600, None, None])
    made = []
    for salt in (
        "cookie-session",
        "quartlogin session of quartlogin.webapp",
        "quartlogin bearer token of quartlogin.webapp",
    ):
        for digest in (sha1, sha256, sha512):
            for derivation in ("hmac", "concat", "django-concat", "none"):
                options = {"digest_method": digest, "key_derivation": derivation}
                made += [
                    URLSafeSerializer(KEY, salt=salt, signer_kwargs=options).dumps(one) for one in (session, token)
                ]
                if (salt, digest, derivation) not in RIGHT_ONES:
                    timed = URLSafeTimedSerializer(KEY, salt=salt, signer_kwargs=options)
                    made += [timed.dumps(one) for one in (session, token)]
    return made


#: How sessions are signed, and how quart-auth signs tokens.
RIGHT_ONES = [
    ("quartlogin session of quartlogin.webapp", sha256, "hmac"),
    ("quartlogin bearer token of quartlogin.webapp", sha512, "django-concat"),
]


@pytest.mark.requirement("9.1.2", "9.2.2")
async def test_algorithm_confusion_another_algorithm_derivation_or_salt_is_rejected(
    app: Quart, visitor: Visitor
) -> None:
    await visitor.register("Alice")
    contents = app.session_interface.get_signing_serializer(app).loads(visitor.cookies[SESSION])

    texts = forged(contents["_user_id"], contents["_login_id"])
    right = URLSafeTimedSerializer(
        KEY, salt=RIGHT_ONES[0][0], signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
    ).dumps({"_user_id": contents["_user_id"], "_login_id": contents["_login_id"]})

    assert await who_is(app, **header_of({SESSION: right})) == "Alice"
    assert len(texts) > 100
    for text in texts:
        assert await who_is(app, **header_of({SESSION: text, REMEMBER: text})) == "nobody"
        assert await who_is(app, Authorization=f"Bearer {text}") == "nobody"


@pytest.mark.slow
@pytest.mark.requirement("9.1.2", "9.1.3")
@pytest.mark.parametrize(
    "token",
    [
        jwt({"alg": "none"}),
        jwt({"alg": "None", "typ": "JWT"}),
        jwt({"alg": "HS256"}, "sha256"),
        jwt({"alg": "HS256", "kid": "../../../dev/null"}, "sha256"),
        jwt({"alg": "RS256", "jku": "https://evil.example/keys"}, "sha256"),
        jwt({"alg": "RS256", "jwk": {"kty": "oct", "k": "AAAA"}}, "sha256"),
        jwt({"alg": "RS256", "x5u": "https://evil.example/x"}, "sha256"),
    ],
    ids=["none", "None", "HS256", "kid", "jku", "jwk", "x5u"],
)
async def test_algorithm_confusion_a_token_that_names_its_algorithm_or_key_is_rejected(
    app: Quart, visitor: Visitor, token: str
) -> None:
    await visitor.register("Alice")

    answer = await app.test_client(use_cookies=False).get("/api/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert await who_is(app, **header_of({SESSION: token, REMEMBER: token, BROWSER: token})) == "nobody"


# --- what costs nothing


@cache
@cache
def bomb() -> str:
    """What unpacks to 100 megabytes, as base64."""
    packing = zlib.compressobj(9)
    packed = b"".join(packing.compress(b"0" * MEGABYTE) for _ in range(100)) + packing.flush()
    return "." + urlsafe_b64encode(packed).rstrip(b"=").decode()


@contextmanager
def cheaply(monkeypatch: pytest.MonkeyPatch, megabytes: float) -> Iterator[list[int]]:
    """Fail if what happens in this block needs more memory, or unpacks more; gives how much each unpacking made."""
    unpacked: list[int] = []

    class Counting:
        def __init__(self, *args: Any) -> None:
            self._unpacking = zlib.decompressobj(*args)

        def decompress(self, data: bytes, most: int = 0) -> bytes:
            found = self._unpacking.decompress(data, most)
            unpacked.append(len(found))
            return found

    def decompress(data: bytes, *args: Any) -> bytes:
        return Counting(*args).decompress(data)

    counting = SimpleNamespace(decompressobj=Counting, decompress=decompress, error=zlib.error)
    monkeypatch.setattr("quartlogin.sessions.serializer.zlib", counting)
    monkeypatch.setattr("itsdangerous.url_safe.zlib", counting)
    tracemalloc.start()
    try:
        yield unpacked
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE
    assert sum(unpacked) < megabytes * MEGABYTE


@pytest.mark.slow
@pytest.mark.requirement("9.1.1")
@pytest.mark.parametrize("length", [None, 4000], ids=["whole", "cut"])
async def test_decompression_bomb_without_a_signature_is_rejected_before_it_is_inflated(
    app: Quart, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    text = f"{bomb()[:length]}.aaaaaa.{'b' * 43}"
    headers = [header_of({name: text}) for name in (SESSION, REMEMBER, BROWSER)] + [{"Authorization": f"Bearer {text}"}]
    await who_is(app)  # whatever is made at the first request

    with cheaply(monkeypatch, megabytes=16) as unpacked:
        found = [await who_is(app, **one) for one in headers]

    assert (found, unpacked) == (["nobody"] * 4, [])


@pytest.mark.slow
@pytest.mark.requirement("9.1.1")
async def test_the_serializer_verifies_the_signature_first(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{bomb()}.aaaaaa.{'b' * 43}"

    with (
        cheaply(monkeypatch, megabytes=16) as unpacked,
        pytest.raises(Exception, match="does not match"),
    ):
        app.session_interface.get_signing_serializer(app).loads(text)

    assert unpacked == []


def signed_bomb(serializer: Any) -> str:
    """What the holder of the key could put into a cookie of 4096 characters: some three megabytes."""
    payload = "." + urlsafe_b64encode(zlib.compress(b"[" + b"[]," * 1_000_000 + b"0]", 9)).rstrip(b"=").decode()
    signer = serializer.make_signer(serializer.salt)
    text: str = signer.sign(payload.encode()).decode()
    return text


@pytest.mark.requirement("9.1.1")
async def test_decompression_bomb_in_a_signed_session_is_an_empty_session(
    app: Quart, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = signed_bomb(app.session_interface.get_signing_serializer(app))
    assert 3000 < len(text) <= 4096
    await who_is(app)

    with cheaply(monkeypatch, megabytes=4):
        found = await who_is(app, **header_of({SESSION: text}))

    assert found == "nobody"
    assert "65536 bytes" in caplog.text


@pytest.mark.requirement("9.1.1")
@pytest.mark.slow
async def test_an_overlong_signed_flask_cookie_is_an_empty_session(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Quart("one")
    app.secret_key = KEY
    app.session_interface = SignedSessionInterface(read_flask_cookie=True)
    flask_serializer = URLSafeTimedSerializer(
        KEY, salt="cookie-session", signer_kwargs={"key_derivation": "hmac", "digest_method": sha1}
    )
    signer = flask_serializer.make_signer("cookie-session")
    assert isinstance(signer, TimestampSigner)
    text = signer.sign(bomb()).decode()

    async with app.test_request_context("/"):
        with cheaply(monkeypatch, megabytes=16):
            session = await app.session_interface.open_session(app, SimpleNamespace(cookies={"session": text}))

    assert dict(session) == {}


@pytest.mark.requirement("9.1.1")
async def test_decompression_bomb_in_a_signed_token_is_rejected(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    serializers = [
        QuartAuth(singleton=False).serializer_class(KEY, f"quartlogin {purpose} token of {app.name}")
        for purpose in ("remember", "bearer")
    ]
    as_long_as_counts = [signed_bomb(serializer) for serializer in serializers]
    longer = [serializer.make_signer(serializer.salt).sign(bomb()).decode() for serializer in serializers]
    await who_is(app)

    with cheaply(monkeypatch, megabytes=4):
        found = [
            await who_is(app, **header)
            for remember, bearer in (as_long_as_counts, longer)
            for header in (header_of({REMEMBER: remember}), {"Authorization": f"Bearer {bearer}"})
        ]

    assert found == ["nobody"] * 4


# --- what is never an error


@pytest.mark.requirement("V22")
@given(
    value=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80),
    name=st.sampled_from([SESSION, REMEMBER, BROWSER, "__Host-quartlogin", "anything"]),
)
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_cookie_of_any_bytes_is_anonymous_and_never_an_error(app: Quart, name: str, value: str) -> None:
    assert await who_is(app, Cookie=f"{name}={value}") == "nobody"


@pytest.mark.requirement("V22")
@given(value=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80))
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_authorization_header_of_any_bytes_is_anonymous_and_never_an_error(app: Quart, value: str) -> None:
    assert await who_is(app, Authorization=value) == "nobody"
    assert await who_is(app, Authorization=f"Bearer {value}") == "nobody"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def like_a_device_cookie(payload: Any) -> str:
    """Sign any contents as a device cookie is signed."""
    options = {"digest_method": sha256, "key_derivation": "hmac"}
    text: str = URLSafeTimedSerializer(
        KEY, salt="quartlogin device cookie", serializer=json, signer_kwargs=options
    ).dumps(payload)
    return text


@pytest.mark.requirement("V22")
async def test_the_device_cookie_that_these_tests_forge_is_accepted_when_valid(app: Quart) -> None:
    account, security_stamp = (
        sha256(text).hexdigest()[:32] for text in (b"browser:user:somebody", b"browser:user:somebody:3")
    )
    cookie = like_a_device_cookie(["browser", {account: security_stamp}])

    async with app.test_request_context("/", headers=header_of({BROWSER: cookie})):
        devices = DeviceCookies([KEY], is_secure=False, on_invalid=lambda: None)
        assert [devices.find("user:somebody", number) for number in (2, 3, 4)] == [None, "browser", None]


@pytest.mark.slow
@pytest.mark.requirement("V22")
@given(
    payload=JSON | st.tuples(st.text(st.characters()), JSON) | st.tuples(st.text(st.characters()), st.just({"": ""}))
)
@settings(max_examples=examples(200))
async def test_a_device_cookie_that_is_signed_and_odd_inside_is_never_an_error(payload: Any) -> None:
    app = Quart("one")
    devices = DeviceCookies([KEY], is_secure=False, on_invalid=lambda: None)
    cookie = like_a_device_cookie(payload)

    async with app.test_request_context("/", headers=header_of({BROWSER: cookie})):
        assert devices.find("user:somebody", 0) is None


@pytest.mark.requirement("V22")
@pytest.mark.parametrize("name", [SESSION, REMEMBER])
async def test_a_broken_cookie_of_another_app_is_not_deleted(visitor: Visitor, name: str) -> None:
    page = await visitor.get("/", headers={"Cookie": f"{name}=1|é"})

    assert page.headers.getlist("Set-Cookie") == []
