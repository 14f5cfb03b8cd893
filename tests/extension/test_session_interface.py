"""`SignedSessionInterface`: the session of an intact, unexpired cookie of ours, or an empty one (tampering, replay)."""

import hashlib
import json
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from quart import Quart, flash, get_flashed_messages, session, websocket
from quart.sessions import SecureCookieSessionInterface
from users import ADA, Receive, SignIn, User

from amounts import examples
from quartlogin import (
    ConfigurationError,
    LoginManager,
    SignedSessionInterface,
    current_user,
    login_user,
    logout_user,
)

KEY = "the present key, long enough for tests"
CONTENTS = {"_user_id": "1", "_login_id": "x" * 32, "_fresh": True}
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def make_signed_app(name: str = "site", key: str | bytes = KEY, **settings: Any) -> Quart:
    app = Quart(name, template_folder=None, static_folder=None)
    app.config.update(SECRET_KEY=key, **settings)
    app.session_interface = SignedSessionInterface()
    return app


@pytest.fixture
def signed_app() -> Quart:
    """An app with the signed session, and views that write, read and empty it."""
    app = make_signed_app()

    @app.post("/")
    async def write() -> str:
        session["colour"] = "green"
        return ""

    @app.get("/")
    async def read() -> dict[str, Any]:
        return dict(session)

    @app.delete("/")
    async def empty() -> str:
        session.clear()
        return ""

    return app


def serializer_of(app: Quart) -> Any:
    return app.session_interface.get_signing_serializer(app)


def cookie_of(app: Quart, contents: dict[str, Any] = CONTENTS) -> str:
    return serializer_of(app).dumps(contents)


def sign(app: Quart, payload: bytes, age: timedelta = timedelta(0)) -> str:
    """Sign any bytes with the app's key, as if some time ago."""
    signer = serializer_of(app).make_signer(serializer_of(app).salt)
    signer.get_timestamp = lambda: int(time.time() - age.total_seconds())
    return signer.sign(payload).decode()


async def open_with(app: Quart, cookie: str, name: str = "session") -> dict[str, Any]:
    """What the app finds in a cookie's value."""
    async with app.test_request_context("/"):
        opened = await app.session_interface.open_session(app, SimpleNamespace(cookies={name: cookie}))
    return dict(opened)


# --- what is written is read ----------------------------------------------------------------------------------


async def test_what_is_written_is_read(signed_app: Quart) -> None:
    client = signed_app.test_client()

    await client.post("/")
    response = await client.get("/")

    assert await response.get_json() == {"colour": "green"}


async def test_reading_sets_no_cookie(signed_app: Quart) -> None:
    client = signed_app.test_client()
    await client.post("/")

    response = await client.get("/")

    assert "Set-Cookie" not in response.headers


async def test_a_visitor_without_a_cookie_has_an_empty_session(signed_app: Quart) -> None:
    response = await signed_app.test_client().get("/")

    assert await response.get_json() == {}


#: Little enough for a cookie.
LITTLE_TEXT = st.text(max_size=20)

#: Any key but Quart's for flashed messages, of which only sound ones come back.
KEYS = LITTLE_TEXT.filter(lambda key: key != "_flashes")


@given(
    st.dictionaries(KEYS, st.none() | st.booleans() | st.integers() | LITTLE_TEXT | st.binary(max_size=20), max_size=5)
)
@settings(max_examples=examples(100))
async def test_any_contents_come_back_whole(contents: dict[str, Any]) -> None:
    app = make_signed_app()

    assert await open_with(app, cookie_of(app, contents)) == contents


async def test_long_contents_come_back_whole(signed_app: Quart) -> None:
    contents = {"text": "a" * 2_000}

    cookie = cookie_of(signed_app, contents)

    assert cookie.startswith(".")
    assert await open_with(signed_app, cookie) == contents


async def test_flashed_messages_survive(signed_app: Quart) -> None:
    @signed_app.post("/flash")
    async def say() -> str:
        await flash("hello", "warm")
        return ""

    @signed_app.get("/flash")
    async def hear() -> list[Any]:
        return get_flashed_messages(with_categories=True)

    client = signed_app.test_client()
    await client.post("/flash")

    assert await (await client.get("/flash")).get_json() == [["warm", "hello"]]


async def test_the_whole_flow_works_with_it(
    signed_app: Quart, login_manager: LoginManager[User], loads: list[str]
) -> None:
    login_manager.init_app(signed_app)

    @signed_app.post("/login")
    async def login() -> str:
        await login_user(ADA)
        return ""

    @signed_app.get("/me")
    async def me() -> str:
        return str((await current_user).get_id())

    @signed_app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    client = signed_app.test_client()
    answers = []
    for method, path in [("GET", "/me"), ("POST", "/login"), ("GET", "/me"), ("POST", "/logout"), ("GET", "/me")]:
        response = await client.open(path, method=method, scheme="https")
        answers.append(await response.get_data(as_text=True))

    assert answers == ["None", "", "1", "", "None"]


# --- a changed cookie is an empty session ---------------------------------------------------------------------

TAMPERED_APP = make_signed_app()
PLAIN = cookie_of(TAMPERED_APP)
COMPRESSED = cookie_of(TAMPERED_APP, {"_user_id": "1", "text": "a" * 500})
COOKIES = st.sampled_from([PLAIN, COMPRESSED])
POSITIONS = st.integers(min_value=0, max_value=10_000)
CHARACTERS = st.one_of(st.sampled_from(BASE64 + ".="), st.characters())


async def assert_empty(changed: str, cookie: str) -> None:
    assume(changed != cookie)

    assert await open_with(TAMPERED_APP, changed) == {}


@pytest.mark.parametrize("cookie", [PLAIN, COMPRESSED], ids=["plain", "compressed"])
async def test_the_cookie_that_is_not_changed_is_read(cookie: str) -> None:
    assert (await open_with(TAMPERED_APP, cookie))["_user_id"] == "1"


@pytest.mark.slow
@pytest.mark.requirement("7.2.1")
@given(cookie=COOKIES, position=POSITIONS, character=CHARACTERS)
@settings(max_examples=examples(400))
async def test_a_cookie_with_one_character_replaced_is_empty(cookie: str, position: int, character: str) -> None:
    position %= len(cookie)

    await assert_empty(cookie[:position] + character + cookie[position + 1 :], cookie)


@pytest.mark.slow
@pytest.mark.requirement("7.2.1")
@given(cookie=COOKIES, position=POSITIONS, bit=st.integers(0, 7))
@settings(max_examples=examples(400))
async def test_a_cookie_with_one_bit_flipped_is_empty(cookie: str, position: int, bit: int) -> None:
    position %= len(cookie)
    changed = bytearray(cookie.encode())
    changed[position] ^= 1 << bit

    await assert_empty(changed.decode("latin-1"), cookie)


@given(cookie=COOKIES, character=st.sampled_from(BASE64))
@settings(max_examples=examples(200))
async def test_a_cookie_with_another_last_character_is_empty(cookie: str, character: str) -> None:
    """Its lowest bits are padding, which base64 decodes to the same bytes whatever they are."""
    await assert_empty(cookie[:-1] + character, cookie)


@given(cookie=COOKIES, position=POSITIONS, text=st.text(min_size=1, max_size=5) | CHARACTERS)
@settings(max_examples=examples(400))
async def test_a_cookie_with_something_inserted_is_empty(cookie: str, position: int, text: str) -> None:
    position %= len(cookie) + 1

    await assert_empty(cookie[:position] + text + cookie[position:], cookie)


@pytest.mark.slow
@given(cookie=COOKIES, start=POSITIONS, length=st.integers(1, 40))
@settings(max_examples=examples(400))
async def test_a_cookie_with_something_deleted_is_empty(cookie: str, start: int, length: int) -> None:
    start %= len(cookie)

    await assert_empty(cookie[:start] + cookie[start + length :], cookie)


@given(cookie=COOKIES, length=POSITIONS)
@settings(max_examples=examples(200))
async def test_a_cookie_that_is_cut_is_empty(cookie: str, length: int) -> None:
    await assert_empty(cookie[: length % len(cookie)], cookie)


@pytest.mark.parametrize("tail", ["=", "==", "A", ".", " ", "\n", "\0", "é", "%3D", '"', ".A", "A" * 100])
async def test_a_cookie_with_something_appended_is_empty(tail: str) -> None:
    assert await open_with(TAMPERED_APP, PLAIN + tail) == {}


@given(st.lists(st.sampled_from([*PLAIN.split("."), *COMPRESSED.split(".")]), max_size=6).map(".".join))
@settings(max_examples=examples(200))
async def test_a_cookie_made_of_the_parts_of_others_is_empty(changed: str) -> None:
    assume(changed != PLAIN)

    await assert_empty(changed, COMPRESSED)


@given(st.text() | st.lists(st.text(BASE64), min_size=1, max_size=4).map(".".join))
@settings(max_examples=examples(400))
async def test_a_made_up_cookie_is_empty(cookie: str) -> None:
    assert await open_with(TAMPERED_APP, cookie) == {}


@pytest.mark.requirement("7.2.1")
@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.lower,
        str.swapcase,
        lambda cookie: cookie[::-1],
        lambda cookie: cookie + cookie,
        lambda cookie: cookie.replace(".", ".."),
        lambda cookie: ".".join(reversed(cookie.split("."))),
        lambda cookie: ".".join(part + "=" * (-len(part) % 4) for part in cookie.split(".")),
        lambda cookie: cookie.rpartition(".")[0] + ".",
        lambda cookie: cookie.rpartition(".")[0],
        lambda cookie: "." + cookie.rpartition(".")[2],
        lambda cookie: "." + cookie,
        lambda cookie: "",
    ],
)
async def test_a_cookie_changed_as_a_whole_is_empty(change: Callable[[str], str]) -> None:
    assert await open_with(TAMPERED_APP, change(PLAIN)) == {}


# --- a signed cookie that is malformed inside -----------------------------------------------------------------


def encoded(text: str | bytes) -> bytes:
    return base64_encode(text)


MALFORMED = {
    "no payload": b"",
    "a lone dot": b".",
    "no base64": b"%%%%",
    "one character": b"A",
    "bytes that are no text": encoded(b"\xff\xfe\xfd"),
    "no JSON": encoded("not json"),
    "half of an object": encoded('{"_user_id": "1"'),
    "two objects": encoded('{"a": 1}{"_user_id": "1"}'),
    "single quotes": encoded("{'_user_id': '1'}"),
    "bad zlib": b"." + encoded(b"not compressed"),
    "zlib cut short": b"." + encoded(zlib.compress(b'{"_user_id": "1"}' * 50)[:-10]),
    "zlib of no JSON": b"." + encoded(zlib.compress(b"not json")),
    "an empty list": encoded("[]"),
    "a list": encoded("[1, 2]"),
    "a list of pairs": encoded('[["_user_id", "1"]]'),
    "a list of two-letter words": encoded('["ab", "cd"]'),
    "a number": encoded("1"),
    "zero": encoded("0"),
    "a fraction": encoded("1.5"),
    "infinity": encoded("Infinity"),
    "a huge number": encoded("9" * 5_000),
    "text": encoded('"_user_id"'),
    "empty text": encoded('""'),
    "null": encoded("null"),
    "true": encoded("true"),
    "nested lists": encoded("[" * 100_000),
    "nested lists, closed": encoded("[" * 100_000 + "]" * 100_000),
    "nested objects": encoded('{"a":' * 100_000 + "1" + "}" * 100_000),
    "nested tags": encoded('{" t":[' * 100_000),
    "nested, compressed": b"." + encoded(zlib.compress(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "bytes that are no base64": encoded('{"a": {" b": 5}}'),
    "bytes that are a list": encoded('{"a": {" b": []}}'),
    "a tuple that is a number": encoded('{"a": {" t": 1}}'),
    "a UUID that is none": encoded('{"a": {" u": "none"}}'),
    "a UUID that is a number": encoded('{"a": {" u": 7}}'),
    "a tag for the whole": encoded('{" t": [["_user_id", "1"]]}'),
    "bytes for the whole": encoded('{" b": "YWI="}'),
    "a date for the whole": encoded('{" d": "Wed, 21 Oct 2015 07:28:00 GMT"}'),
}


@pytest.mark.requirement("1.5.2")
@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_signed_cookie_that_is_malformed_inside_is_empty(signed_app: Quart, payload: bytes) -> None:
    assert await open_with(signed_app, sign(signed_app, payload)) == {}


@pytest.mark.parametrize("payload", [encoded("[1]"), encoded("{"), b"." + encoded(b"x")], ids=["list", "JSON", "zlib"])
async def test_a_signed_cookie_that_is_malformed_inside_is_no_error_of_the_page(
    signed_app: Quart, payload: bytes
) -> None:
    headers = {"Cookie": f"session={sign(signed_app, payload)}"}

    response = await signed_app.test_client().get("/", headers=headers)

    assert response.status_code == 200
    assert await response.get_json() == {}


@pytest.mark.requirement("9.1.1", "V22")
@given(st.binary(max_size=200))
@settings(max_examples=examples(300))
async def test_a_signed_cookie_of_any_bytes_is_no_error(payload: bytes) -> None:
    opened = await open_with(TAMPERED_APP, sign(TAMPERED_APP, encoded(payload)))

    assert isinstance(opened, dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from([" b", " d", " di", " m", " t", " u"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@pytest.mark.requirement("1.5.2")
@given(JSON.filter(lambda value: not isinstance(value, dict)))
@settings(max_examples=examples(300))
async def test_signed_json_that_is_no_object_is_empty(value: Any) -> None:
    assert await open_with(TAMPERED_APP, sign(TAMPERED_APP, encoded(json.dumps(value)))) == {}


@pytest.mark.slow
@given(st.dictionaries(st.text() | st.sampled_from([" b", " d", " di", " m", " t", " u"]), JSON, max_size=3))
@settings(max_examples=examples(300))
async def test_signed_json_with_tags_of_any_content_is_no_error(value: dict[str, Any]) -> None:
    opened = await open_with(TAMPERED_APP, sign(TAMPERED_APP, encoded(json.dumps(value))))

    assert isinstance(opened, dict)


# --- whose cookie it is ---------------------------------------------------------------------------------------


def test_a_cookie_is_signed_with_sha_256() -> None:
    signature = cookie_of(make_signed_app()).rpartition(".")[2]

    assert len(base64_decode(signature)) == 32


@pytest.mark.requirement("9.1.2")
@pytest.mark.requirement("11.4.1")
async def test_a_cookie_signed_with_sha_1_is_refused() -> None:
    app = make_signed_app()
    weak = URLSafeTimedSerializer(
        [KEY],
        salt=serializer_of(app).salt,
        serializer=SignedSessionInterface.serializer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )

    assert await open_with(app, weak.dumps(CONTENTS)) == {}


@pytest.mark.requirement("9.1.2")
async def test_a_cookie_that_quart_signed_with_sha_1_is_refused() -> None:
    app = make_signed_app()
    stock = SecureCookieSessionInterface().get_signing_serializer(app)

    assert await open_with(app, stock.dumps(CONTENTS)) == {}


async def test_a_cookie_of_the_stock_interface_is_refused_by_the_app(sign_in: SignIn, make_app: Any) -> None:
    stock = make_app()
    cookie = next(iter((await sign_in(stock)).cookie_jar)).value
    ours = make_signed_app(key=stock.secret_key)

    assert await open_with(ours, cookie) == {}


async def test_the_stock_interface_refuses_ours() -> None:
    app = make_signed_app()
    cookie = cookie_of(app)
    app.session_interface = SecureCookieSessionInterface()

    assert await open_with(app, cookie) == {}


@pytest.mark.requirement("9.2.3")
async def test_the_cookie_of_another_app_with_the_same_key_is_refused() -> None:
    shop, forum = make_signed_app("shop"), make_signed_app("forum")

    assert await open_with(forum, cookie_of(shop)) == {}
    assert await open_with(shop, cookie_of(shop)) == CONTENTS


async def test_two_apps_that_share_one_interface_stay_apart() -> None:
    shop, forum = make_signed_app("shop"), make_signed_app("forum")
    forum.session_interface = shop.session_interface

    assert await open_with(forum, cookie_of(shop)) == {}
    assert await open_with(shop, cookie_of(shop)) == CONTENTS


async def test_two_apps_with_the_same_audience_share_their_sessions() -> None:
    shop, forum = make_signed_app("shop"), make_signed_app("forum")
    shop.session_interface = SignedSessionInterface(audience="us")
    forum.session_interface = SignedSessionInterface(audience="us")

    assert await open_with(forum, cookie_of(shop)) == CONTENTS


async def test_one_app_with_another_audience_refuses_its_own_cookie() -> None:
    app = make_signed_app()
    cookie = cookie_of(app)
    app.session_interface = SignedSessionInterface(audience="somebody else")

    assert await open_with(app, cookie) == {}


# --- keys -----------------------------------------------------------------------------------------------------

OLD, OLDER = "the old key", "the older key"


async def test_a_new_cookie_is_signed_with_the_present_key() -> None:
    cookie = cookie_of(make_signed_app(SECRET_KEY_FALLBACKS=[OLDER, OLD]))

    assert await open_with(make_signed_app(), cookie) == CONTENTS


@pytest.mark.parametrize("fallback", [OLD, OLDER])
async def test_a_new_cookie_is_not_signed_with_a_fallback(fallback: str) -> None:
    cookie = cookie_of(make_signed_app(SECRET_KEY_FALLBACKS=[OLDER, OLD]))

    assert await open_with(make_signed_app(key=fallback), cookie) == {}


@pytest.mark.parametrize("fallback", [OLD, OLDER])
async def test_an_old_cookie_is_read_as_long_as_its_key_is_a_fallback(fallback: str) -> None:
    cookie = cookie_of(make_signed_app(key=fallback))

    assert await open_with(make_signed_app(SECRET_KEY_FALLBACKS=[OLDER, OLD]), cookie) == CONTENTS
    assert await open_with(make_signed_app(SECRET_KEY_FALLBACKS=[OLD, OLDER]), cookie) == CONTENTS


@pytest.mark.parametrize("fallbacks", [None, [], [OLD]], ids=repr)
async def test_a_cookie_of_a_dropped_key_is_refused(fallbacks: list[str] | None) -> None:
    cookie = cookie_of(make_signed_app(key=OLDER))

    assert await open_with(make_signed_app(SECRET_KEY_FALLBACKS=fallbacks), cookie) == {}


async def test_keys_may_be_changed_while_the_app_runs() -> None:
    app = make_signed_app(key=OLD)
    cookie = cookie_of(app)
    app.config.update(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=[OLD])
    during = await open_with(app, cookie)
    app.config["SECRET_KEY_FALLBACKS"].clear()
    after = await open_with(app, cookie)

    assert (during, after) == (CONTENTS, {})


async def test_a_key_may_be_bytes() -> None:
    app = make_signed_app(key=b"\xff\x00 bytes", SECRET_KEY_FALLBACKS=[b"\xfe", OLD])

    assert await open_with(app, cookie_of(app)) == CONTENTS


@pytest.mark.parametrize("fallbacks", [OLD, OLD.encode()])
def test_fallbacks_that_are_one_key_instead_of_a_list_are_refused(fallbacks: str | bytes) -> None:
    """Each character of it would be a key."""
    app = make_signed_app(SECRET_KEY_FALLBACKS=fallbacks)

    with pytest.raises(ConfigurationError, match=r"SECRET_KEY_FALLBACKS\b.*\blist\b"):
        serializer_of(app)


def test_a_serializer_is_made_once_for_a_set_of_keys() -> None:
    app = make_signed_app(SECRET_KEY_FALLBACKS=[OLD])

    assert serializer_of(app) is serializer_of(app)


def test_another_set_of_keys_gets_another_serializer() -> None:
    app = make_signed_app()
    before = serializer_of(app)
    app.config["SECRET_KEY_FALLBACKS"] = [OLD]

    assert serializer_of(app) is not before


@pytest.mark.parametrize("key", [None, "", b""])
async def test_without_a_key_the_session_can_be_read_but_not_written(key: Any) -> None:
    app = make_signed_app(key=key)

    async with app.test_request_context("/"):
        assert session.get("_user_id") is None
        with pytest.raises(RuntimeError, match="secret key"):
            session["_user_id"] = "1"


# --- time -----------------------------------------------------------------------------------------------------

PAYLOAD = encoded(json.dumps(CONTENTS))


@pytest.mark.parametrize("age", [timedelta(0), timedelta(minutes=59)])
async def test_a_cookie_within_its_lifetime_is_read(age: timedelta) -> None:
    app = make_signed_app(PERMANENT_SESSION_LIFETIME=timedelta(hours=1))

    assert await open_with(app, sign(app, PAYLOAD, age)) == CONTENTS


@pytest.mark.requirement("9.2.1")
@pytest.mark.parametrize("age", [timedelta(minutes=61), timedelta(days=1), timedelta(days=10_000)])
async def test_an_expired_cookie_is_empty(age: timedelta) -> None:
    app = make_signed_app(PERMANENT_SESSION_LIFETIME=timedelta(hours=1))

    assert await open_with(app, sign(app, PAYLOAD, age)) == {}


@pytest.mark.requirement("9.2.1")
@pytest.mark.parametrize("lead", [timedelta(hours=1), timedelta(days=1), timedelta(days=10_000)])
async def test_a_cookie_of_the_future_is_empty(lead: timedelta) -> None:
    app = make_signed_app()

    assert await open_with(app, sign(app, PAYLOAD, -lead)) == {}


async def test_a_cookie_without_a_time_is_empty(signed_app: Quart) -> None:
    signer = serializer_of(signed_app).make_signer(serializer_of(signed_app).salt)
    dateless = PAYLOAD + signer.sep + signer.get_signature(PAYLOAD)

    assert await open_with(signed_app, dateless.decode()) == {}


@pytest.mark.parametrize("stamp", [b"", b"A", b"%", b"_" * 20, b"_" * 100], ids=["none", "A", "%", "huge", "enormous"])
async def test_a_signed_cookie_with_a_time_that_is_none_is_empty(signed_app: Quart, stamp: bytes) -> None:
    signer = serializer_of(signed_app).make_signer(serializer_of(signed_app).salt)
    value = PAYLOAD + signer.sep + stamp
    cookie = value + signer.sep + signer.get_signature(value)

    assert await open_with(signed_app, cookie.decode()) == {}


# --- the cookie's name and attributes -------------------------------------------------------------------------


def attributes(response: Any) -> tuple[str, set[str]]:
    """The name of the cookie that a response sets, and what is said about it besides its value and time."""
    first, *others = response.headers["Set-Cookie"].split("; ")
    return first.partition("=")[0], {other for other in others if not other.startswith(("Expires", "Max-Age"))}


COMMON = {"HttpOnly", "Path=/", "SameSite=Lax"}


async def test_over_http_the_name_is_plain(signed_app: Quart) -> None:
    response = await signed_app.test_client().post("/")

    assert attributes(response) == ("session", COMMON)


async def test_over_https_the_cookie_is_bound_to_the_host(signed_app: Quart) -> None:
    response = await signed_app.test_client().post("/", scheme="https")

    assert attributes(response) == ("__Host-session", COMMON | {"Secure"})


async def test_a_cookie_that_is_configured_secure_is_bound_to_the_host(signed_app: Quart) -> None:
    signed_app.config["SESSION_COOKIE_SECURE"] = True

    response = await signed_app.test_client().post("/")

    assert attributes(response) == ("__Host-session", COMMON | {"Secure"})


async def test_the_name_is_the_configured_one(signed_app: Quart) -> None:
    signed_app.config["SESSION_COOKIE_NAME"] = "shop"

    response = await signed_app.test_client().post("/", scheme="https")

    assert attributes(response) == ("__Host-shop", COMMON | {"Secure"})


async def test_a_name_that_has_the_prefix_gets_no_second_one(signed_app: Quart) -> None:
    signed_app.config["SESSION_COOKIE_NAME"] = "__Host-shop"

    response = await signed_app.test_client().post("/", scheme="https")

    assert attributes(response) == ("__Host-shop", COMMON | {"Secure"})


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("SESSION_COOKIE_DOMAIN", "site.example", {"Domain=site.example", "Path=/"}),
        ("SESSION_COOKIE_PATH", "/shop", {"Path=/shop"}),
        ("APPLICATION_ROOT", "/shop", {"Path=/shop"}),
    ],
)
async def test_where_browsers_do_not_take_the_prefix_there_is_none(
    signed_app: Quart, setting: str, value: str, expected: set[str]
) -> None:
    signed_app.config[setting] = value

    async with signed_app.test_request_context("/", scheme="https"):
        response = await signed_app.make_response("")
        session["colour"] = "green"
        await signed_app.session_interface.save_session(signed_app, session, response)

    assert attributes(response) == ("session", expected | {"HttpOnly", "SameSite=Lax", "Secure"})


async def test_the_same_site_rule_is_the_configured_one(signed_app: Quart) -> None:
    signed_app.config["SESSION_COOKIE_SAMESITE"] = "Strict"

    response = await signed_app.test_client().post("/")

    assert "SameSite=Strict" in attributes(response)[1]


@pytest.mark.parametrize(("scheme", "name"), [("http", "session"), ("https", "__Host-session")])
async def test_a_cookie_is_read_under_the_name_that_it_is_written_with(
    signed_app: Quart, scheme: str, name: str
) -> None:
    headers = {"Cookie": f"{name}={cookie_of(signed_app)}"}

    response = await signed_app.test_client().get("/", scheme=scheme, headers=headers)

    assert await response.get_json() == CONTENTS


async def test_over_https_a_cookie_under_the_plain_name_is_not_read(signed_app: Quart) -> None:
    """Anybody who controls a neighbouring host, or the plain connection, can set one."""
    headers = {"Cookie": f"session={cookie_of(signed_app)}"}

    response = await signed_app.test_client().get("/", scheme="https", headers=headers)

    assert await response.get_json() == {}


async def test_where_the_cookie_is_configured_secure_the_plain_name_is_not_read(signed_app: Quart) -> None:
    signed_app.config["SESSION_COOKIE_SECURE"] = True
    headers = {"Cookie": f"session={cookie_of(signed_app)}"}

    response = await signed_app.test_client().get("/", headers=headers)

    assert await response.get_json() == {}


@pytest.mark.parametrize(
    ("scheme", "name", "said"), [("http", "session", COMMON), ("https", "__Host-session", COMMON | {"Secure"})]
)
async def test_the_cookie_is_deleted_the_way_it_was_set(
    signed_app: Quart, scheme: str, name: str, said: set[str]
) -> None:
    """A browser ignores the deletion of a `__Host-` cookie that is not `Secure`."""
    headers = {"Cookie": f"{name}={cookie_of(signed_app)}"}

    response = await signed_app.test_client().delete("/", scheme=scheme, headers=headers)

    assert response.headers["Set-Cookie"].startswith(f"{name}=;")
    assert attributes(response) == (name, said)


@pytest.mark.parametrize(
    ("scheme", "name", "found"),
    [
        ("ws", "session", "1"),
        ("ws", "__Host-session", "None"),
        ("wss", "__Host-session", "1"),
        ("wss", "session", "None"),
    ],
)
async def test_a_websocket_reads_the_cookie_of_its_pages(
    signed_app: Quart, receive: Receive, scheme: str, name: str, found: str
) -> None:
    @signed_app.websocket("/live")
    async def live() -> None:
        await websocket.send(str(session.get("_user_id")))

    assert await receive(signed_app, f"{name}={cookie_of(signed_app)}", scheme) == found


async def test_a_malformed_cookie_leaves_a_line_in_the_log_without_the_cookie(
    signed_app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = sign(signed_app, encoded("[1, 2]"))

    await open_with(signed_app, cookie)

    assert "malformed" in caplog.text
    assert cookie not in caplog.text


async def test_a_tampered_cookie_leaves_no_line_in_the_log(signed_app: Quart, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send those, as many as they like."""

    await open_with(signed_app, cookie_of(signed_app) + "x")

    assert caplog.text == ""
