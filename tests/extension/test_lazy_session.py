"""A session that is read on first access, whatever the access is."""

import asyncio
import json
import logging
import operator
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from typing import Any

import pytest
from browsers import Clock
from quart import Quart, session, websocket
from quart.sessions import SecureCookieSession

from quartlogin import SignedSessionInterface
from quartlogin.sessions.lazy import Cookie, is_unread, unread
from quartlogin.sessions.serializer import CachingSigner

CONTENTS = {"colour": "green", "number": 1}

LOOKS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "in": (lambda s: "colour" in s, True),
    "equal": (lambda s: s == CONTENTS, True),
    "equal the other way": (lambda s: operator.eq(CONTENTS, s), True),
    "not equal": (lambda s: s != CONTENTS, False),
    "item": (lambda s: s["colour"], "green"),
    "iteration": (lambda s: [*s], ["colour", "number"]),
    "reversed": (lambda s: [*reversed(s)], ["number", "colour"]),
    "length": (len, 2),
    "truth": (bool, True),
    "text": (lambda s: "green" in repr(s), True),
    "formatted": (lambda s: "green" in f"{s}", True),
    "merged": (lambda s: s | {"more": 2}, {**CONTENTS, "more": 2}),
    "merged the other way": (lambda s: {"more": 2} | s, {"more": 2, **CONTENTS}),
    "unpacked": (lambda s: {**s}, CONTENTS),
    "as keywords": (lambda s: dict(**s), CONTENTS),
    "a dictionary": (dict, CONTENTS),
    "copied": (lambda s: s.copy(), CONTENTS),
    "copied by the module": (lambda s: dict(copy(s)), CONTENTS),
    "get": (lambda s: s.get("colour"), "green"),
    "get of nothing": (lambda s: s.get("sound", "none"), "none"),
    "items": (lambda s: [*s.items()], [*CONTENTS.items()]),
    "keys": (lambda s: [*s.keys()], [*CONTENTS]),
    "values": (lambda s: [*s.values()], [*CONTENTS.values()]),
    "pop": (lambda s: s.pop("colour"), "green"),
    "popitem": (lambda s: s.popitem(), ("number", 1)),
    "setdefault": (lambda s: s.setdefault("colour", "red"), "green"),
    "as JSON": (json.dumps, '{"colour": "green", "number": 1}'),
    "as JSON, sorted": (lambda s: json.dumps(s, sort_keys=True), '{"colour": "green", "number": 1}'),
    "as JSON, indented": (lambda s: json.loads(json.dumps(s, indent=1)), CONTENTS),
    "as JSON, inside": (lambda s: json.dumps([s]), '[{"colour": "green", "number": 1}]'),
    "permanent": (lambda s: s.permanent, False),
}

CHANGES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "set": (lambda s: s.__setitem__("colour", "red"), {**CONTENTS, "colour": "red"}),
    "deleted": (lambda s: s.__delitem__("colour"), {"number": 1}),
    "cleared": (lambda s: s.clear(), {}),
    "updated": (lambda s: s.update(more=2), {**CONTENTS, "more": 2}),
    "merged in place": (lambda s: s.__ior__({"more": 2}), {**CONTENTS, "more": 2}),
    "popped": (lambda s: s.pop("colour"), {"number": 1}),
    "made permanent": (lambda s: setattr(s, "permanent", True), {**CONTENTS, "_permanent": True}),
}


def unread_session(read: Callable[[], Cookie] = lambda: Cookie(dict(CONTENTS), is_outdated=False)) -> Any:
    return unread(SecureCookieSession, read)


@pytest.mark.parametrize(("look", "sees"), LOOKS.values(), ids=LOOKS)
def test_every_first_look_finds_what_is_there(look: Callable[[Any], Any], sees: Any) -> None:
    session = unread_session()

    assert look(session) == sees
    assert not is_unread(session)


@pytest.mark.parametrize(("change", "becomes"), CHANGES.values(), ids=CHANGES)
def test_every_first_change_is_one_of_what_is_there(change: Callable[[Any], Any], becomes: dict[str, Any]) -> None:
    session = unread_session()

    change(session)

    assert dict(session) == becomes
    assert session.modified


def test_no_method_of_a_dictionary_was_forgotten() -> None:
    """A new Python may bring one that would find an unread session empty."""
    looks_at_nothing = {
        *("__class__", "__class_getitem__", "__delattr__", "__dir__", "__doc__", "__format__", "__getattribute__"),
        *("__getstate__", "__hash__", "__init__", "__init_subclass__", "__new__", "__reduce__", "__setattr__"),
        *("__sizeof__", "__str__", "__subclasshook__", "fromkeys", "__ge__", "__gt__", "__le__", "__lt__"),
    }

    overridden = vars(type(unread_session()))

    assert {name for name in dir(dict) if name not in overridden} <= looks_at_nothing


def test_a_look_changes_nothing() -> None:
    session = unread_session()

    dict(session)

    assert not session.modified
    assert type(session) is SecureCookieSession


def test_a_deep_copy_is_a_session_of_its_own() -> None:
    session = unread_session(lambda: Cookie({"list": [1]}, is_outdated=False))

    deepcopy(session)["list"].append(2)

    assert session["list"] == [1]


def test_the_cookie_is_read_once_however_many_threads_look() -> None:
    reads: list[int] = []
    sessions = [
        unread_session(lambda: (reads.append(1), Cookie(dict(CONTENTS), is_outdated=False))[1]) for _ in range(50)
    ]

    with ThreadPoolExecutor(8) as threads:
        seen = [threads.submit(dict, session) for session in sessions for _ in range(8)]

    assert all(one.result() == CONTENTS for one in seen)
    assert len(reads) == len(sessions)


def test_no_thread_finds_it_empty_while_another_one_fills_it() -> None:
    """Until all is in it, whoever looks waits for the one who reads: it stays unread for them."""
    begun_as: list[type] = []

    class Watching(dict[str, Any]):
        def __iter__(self) -> Any:  # so that `dict.update` asks for the keys
            return super().__iter__()

        def keys(self) -> Any:
            begun_as.append(type(session))
            return super().keys()

    session = unread_session(lambda: Cookie(Watching(CONTENTS), is_outdated=False))

    assert len(session) == len(CONTENTS)
    assert SecureCookieSession not in begun_as
    assert len(begun_as) == 1


def test_a_session_of_a_class_of_the_apps_own_becomes_one() -> None:
    class Own(SecureCookieSession):
        def colour(self) -> Any:
            return self["colour"]

    session: Any = unread(Own, lambda: Cookie(dict(CONTENTS), is_outdated=False))

    assert session.colour() == "green"
    assert type(session) is Own


# --- in an app


@pytest.fixture
def app() -> Quart:
    app = Quart("site")
    app.secret_key = "a key for tests, of more than 32 characters"
    app.session_interface = SignedSessionInterface()

    @app.get("/in")
    async def write() -> str:
        session.update(CONTENTS, basket=["bread"])
        return ""

    @app.get("/lasting")
    async def make_permanent() -> str:
        session.permanent = True
        return ""

    @app.get("/blind")
    async def ignore() -> str:
        return "the same for everybody"

    @app.get("/look")
    async def look() -> dict[str, Any]:
        return dict(session)

    @app.get("/basket/<thing>")
    async def put(thing: str) -> dict[str, Any]:
        session["basket"].append(thing)
        return dict(session)

    return app


async def test_a_page_that_ignores_the_session_says_nothing_of_it(app: Quart) -> None:
    client = app.test_client()
    await client.get("/in")

    response = await client.get("/blind")

    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


async def test_a_page_that_looks_at_the_session_varies_with_it(app: Quart) -> None:
    client = app.test_client()
    await client.get("/in")

    response = await client.get("/look")

    assert response.headers["Vary"] == "Cookie"


async def test_a_permanent_session_lasts_longer_with_each_look_at_it(app: Quart) -> None:
    client = app.test_client()
    await client.get("/lasting")

    blind, look = await client.get("/blind"), await client.get("/look")

    assert "Set-Cookie" not in blind.headers
    assert "Set-Cookie" in look.headers


async def test_an_expired_cookie_is_deleted_on_access(app: Quart, clock: Clock) -> None:
    client = app.test_client()
    await client.get("/in")
    cookie = {"Cookie": f"session={next(iter(client.cookie_jar or ())).value}"}
    clock.forward(2 * app.permanent_session_lifetime)
    blind = await app.test_client().get("/blind", headers=cookie)
    look = await app.test_client().get("/look", headers=cookie)

    assert "Set-Cookie" not in blind.headers
    assert "session=;" in look.headers["Set-Cookie"]


async def test_a_change_that_was_only_marked_is_written(app: Quart) -> None:
    @app.get("/mark")
    async def mark() -> str:
        session.modified = True
        return ""

    client = app.test_client()
    await client.get("/in")

    response = await client.get("/mark")

    assert "Set-Cookie" in response.headers
    assert (await (await client.get("/look")).get_json())["colour"] == "green"


async def test_what_one_request_does_to_a_list_in_the_session_no_other_sees(app: Quart) -> None:
    """The cookie stays the same, as nothing marks the change; its contents are remembered."""
    client = app.test_client()
    await client.get("/in")
    await client.get("/look")

    changed = await (await client.get("/basket/butter")).get_json()
    after = await (await client.get("/look")).get_json()

    assert changed["basket"] == ["bread", "butter"]
    assert after["basket"] == ["bread"]


async def test_what_one_request_does_to_the_session_no_other_sees(app: Quart) -> None:
    @app.get("/take")
    async def take() -> dict[str, Any]:
        session.pop("colour")
        session.modified = False
        return dict(session)

    client = app.test_client()
    await client.get("/in")

    taken = await (await client.get("/take")).get_json()

    assert "colour" not in taken
    assert (await (await client.get("/look")).get_json())["colour"] == "green"


async def test_a_websocket_looks_too(app: Quart) -> None:
    @app.websocket("/socket")
    async def tell() -> None:
        await websocket.send_json(dict(session))

    client = app.test_client()
    await client.get("/in")

    async with client.websocket("/socket") as socket:
        assert (await socket.receive_json())["colour"] == "green"


async def test_a_log_may_show_the_session_also_while_it_is_complained_of(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Showing(logging.Handler):
        shown: list[Any] = []  # noqa: RUF012 -- one for this test

        def emit(self, record: logging.LogRecord) -> None:
            self.shown.append(dict(session))

    monkeypatch.setattr(app.logger, "handlers", [Showing()])
    serializer: Any = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]

    async with asyncio.timeout(60):
        await app.test_client().get("/look", headers={"Cookie": f"session={serializer.dumps(['no session'])}"})

    assert Showing.shown == [{}]


async def test_a_cookie_is_verified_once_and_its_age_every_time(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[bytes] = []
    verify = CachingSigner.verify_signature

    def counting(signer: CachingSigner, value: Any, signature: Any) -> bool:
        verified.append(value)
        return verify(signer, value, signature)

    monkeypatch.setattr(CachingSigner, "verify_signature", counting)
    client = app.test_client()
    await client.get("/in")

    looks = [await (await client.get("/look")).get_json() for _ in range(3)]
    later = time.time() + app.permanent_session_lifetime.total_seconds() + 1
    monkeypatch.setattr(time, "time", lambda: later)
    much_later = await (await client.get("/look")).get_json()

    assert [look["colour"] for look in looks] == ["green"] * 3
    assert len(verified) == 1
    assert much_later == {}


async def test_a_cookie_that_was_right_is_wrong_as_soon_as_its_key_is_dropped(app: Quart) -> None:
    client = app.test_client()
    await client.get("/in")
    await client.get("/look")

    app.secret_key = "another key for tests, of more than 32 characters"

    assert await (await client.get("/look")).get_json() == {}


async def test_a_cookie_that_is_wrong_is_not_remembered_as_right(app: Quart) -> None:
    answers = [await app.test_client().get("/look", headers={"Cookie": "session=eyJhIjoxfQ.aaaa.bbbb"}) for _ in "12"]

    assert [await answer.get_json() for answer in answers] == [{}, {}]


async def test_the_listener_is_told_of_an_invalid_cookie(app: Quart) -> None:
    told: list[str] = []
    app.session_interface = SignedSessionInterface(on_refused=lambda: told.append("refused"))
    client = app.test_client()

    await client.get("/in")
    await client.get("/look")
    await app.test_client().get("/look")
    await app.test_client().get("/blind", headers={"Cookie": "session=broken"})
    untold = [*told]
    await app.test_client().get("/look", headers={"Cookie": "session=broken"})

    assert untold == []
    assert told == ["refused"]


def test_bypassing_the_session_shows_a_placeholder() -> None:
    """`dict.get` is no question to the session; nothing can be done about it, but an empty session it is not."""
    unseen = unread(SecureCookieSession, lambda: Cookie(dict(CONTENTS), is_outdated=False))

    past = [*dict.items(unseen)]

    assert is_unread(unseen)
    assert [key for key, _ in past] == ["_quartlogin"]
    assert (dict.get(unseen, "colour"), unseen["colour"], dict.get(unseen, "colour")) == (None, "green", "green")
    assert [*dict.items(unseen)] == [*CONTENTS.items()]


def test_an_empty_session_is_empty_as_json() -> None:
    assert json.dumps(unread(SecureCookieSession, lambda: Cookie({}, is_outdated=False))) == "{}"
