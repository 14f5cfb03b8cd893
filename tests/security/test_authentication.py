"""Authentication and its documentation (ASVS 5.0.0, V6): passwords, lockout, username enumeration."""

import ast
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import normalize

import aiosqlite
import pytest
from argon2 import PasswordHasher, extract_parameters
from quart import Quart

import quartlogin
from client import (
    KEY,
    NEW_PASSWORD,
    PASSWORD,
    WRONG,
    Page,
    Visitor,
    add_user,
    change_password,
    guess,
    set_active,
    with_cheap_hashes,
)
from databases import both_databases, run_sql
from quartlogin.accounts import AccountsOptions, get_accounts
from quartlogin.accounts.features.passwords import denylist
from quartlogin.accounts.pages.forms import CSRFForm
from quartlogin.accounts.security.rate_limits import MAX_DELAY, MAX_FAILURES, WINDOW, DelayPolicy
from quartlogin.webapp import create_app
from quartlogin.webapp.settings import Settings
from slow import mostly_slow

PAGE = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")
RATE_LIMITING = Path(__file__).parents[2] / "docs" / "rate-limiting.md"
PACKAGE = Path(quartlogin.__file__).parent / "accounts"
NewVisitor = Callable[[], Visitor]


def section(title: str) -> str:
    """A section of docs/application.md."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


# --- 6.1: what is documented


@pytest.mark.requirement("6.1.1")
def test_rate_limits_in_the_docs_match_the_code() -> None:
    text, rule = RATE_LIMITING.read_text(encoding="utf-8"), DelayPolicy(Settings().login_rate_limit_per_account)
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.*) \|$", text, re.MULTILINE))
    [account] = [row for name, row in rows.items() if "unknown username" in name]
    [address] = [row for name, row in rows.items() if name.startswith("failures") and "an address" in name]
    [registering] = [row for name, row in rows.items() if "register" in name]
    [hundred] = [name for name in rows if name.startswith("of those")]
    free = rule.limit // 2

    window = WINDOW // 60
    assert numbers(account) == [
        *(rule.limit, window, free),
        *(rule.delay_after(failures) for failures in range(free, free + 6)),
        MAX_DELAY,
    ]
    assert rule.delay_after(free - 1) == 0
    assert rule.delay_after(MAX_FAILURES - 1) == MAX_DELAY
    assert numbers(address) == [Settings().login_rate_limit_per_address, window, window]
    assert numbers(registering) == [Settings().login_rate_limit_per_address, window]
    assert numbers(hundred) == [MAX_FAILURES]
    assert set(re.findall(r"`([A-Z_]{5,})[`=]", text)) <= {name.upper() for name in vars(Settings())}


@pytest.mark.requirement("6.1.1", "6.3.1")
@both_databases
async def test_account_lockout_fifty_guesses_do_not_lock_the_owner_out(
    app: Quart, alice: str, now: list[float]
) -> None:
    desk = Visitor(app.test_client())
    await desk.sign_in("Alice")

    answers = [await guess(app) for _ in range(50)]

    assert [page.status for page in answers] == [400] * 5 + [429] * 45
    assert await desk.is_signed_in()
    told = int(answers[-1].headers["Retry-After"])
    assert told <= DelayPolicy(10).delay_after(5)
    assert (await guess(app, password=PASSWORD, address="198.51.100.7")).status == 429
    now[0] += told
    assert (await guess(app, password=PASSWORD, address="198.51.100.7")).status == 302


@pytest.mark.requirement("6.1.2", "6.2.11")
async def test_password_denylist_in_the_docs_matches_the_code(database: str) -> None:
    settings = {"SITE_NAME": "Wonderland", "PASSWORD_DENYLIST": ["Cheshire", "Jabberwock"]}
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, **settings))

    async with app.test_app():
        refused = [
            await Visitor(app.test_client()).register("dormouse", password)
            for password in ("wonderland-wonderland", "Dormouse.2026.2026", "cheshireCHESHIRE", "jabberwock!!!!!!!!")
        ]
        taken = await Visitor(app.test_client()).register("dormouse", "the cheshire cat of wonderland grins")

    text = section("Password denylist")
    assert {"SITE_NAME", "PASSWORD_DENYLIST"} == set(re.findall(r"`([A-Z_]+)`", text))
    assert "the username" in text
    assert AccountsOptions().context_words == (Settings().site_name,)
    assert ["your username" in page.errors_beside("password") for page in refused] == [True] * 4
    assert taken.status == 302


@pytest.mark.requirement("6.1.2")
@pytest.mark.parametrize("username", ["Ａlice Smith", "Zoe\u0308 Smith", "ſmith alice"])
async def test_password_denylist_covers_the_username_in_every_spelling(visitor: Visitor, username: str) -> None:
    words = normalize("NFKC", username)

    page = await visitor.register(username, f"{words}{words}")

    assert "your username" in page.errors_beside("password")


@pytest.mark.requirement("6.1.3", "6.3.6")
def test_authentication_methods_in_the_docs_match_the_code() -> None:
    """Whoever adds a way has to call one of these names, and finds this test."""
    ways = re.findall(r"^\| (\w[\w ]*) \|", section("Authentication methods"), re.MULTILINE)

    assert ways == ["method", "password", "remember cookie", "bearer token"]
    assert users_of("login_user") == {
        "accounts.py",  # `Accounts.register`
        "features/registration/pages.py",
        "sign_in/service.py",
    }
    assert users_of("create_bearer_token") == {"features/api_tokens/commands.py", "features/api_tokens/pages.py"}
    assert (
        users_of("request_loader", "as_user", "set_user", "force", "import_flask_login", "session_transaction") == set()
    )


def users_of(*names: str) -> set[str]:
    """The modules of the application that have these names in their code, or as a keyword."""
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)} & set(names)
    }


@pytest.mark.requirement("6.3.3", "6.4.3")
def test_missing_authentication_methods_are_documented() -> None:
    text = section("Authentication methods")

    assert re.search(r"\bno second factor\b", text)
    assert re.search(r"\breset by mail\b", text)
    assert "`before_sign_in`" in section("Hooks")


@pytest.mark.requirement("6.2.12", "6.3.3", "6.3.7")
def test_hooks_in_the_docs_match_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = section("Hooks")
    [source] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUARTLOGIN_SECRET_KEY", KEY)
    names: dict[str, Any] = {}

    exec(compile(source, "application.md", "exec"), names)

    in_app = get_accounts(names["app"]).passwords.hooks
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert listed == [field.name for field in fields(in_app)]
    assert all(getattr(in_app, name) for name in listed)
    assert numbers(text.partition("```")[0]) == [quartlogin.accounts.hooks.TIMEOUT]


# --- 6.2: passwords


@pytest.mark.requirement("6.2.1", "N1", "N3")
@pytest.mark.parametrize("letter", ["x", "7", " ", "é", "字", "😀", "\u200d", "ǆ"], ids=ascii)
async def test_password_length_minimum_is_fifteen_characters(new_visitor: NewVisitor, letter: str) -> None:
    """Each code point is one character, whatever it takes in bytes; the first keep it from being one letter's."""
    short = await new_visitor().register("Alice", "q7" + letter * 12)
    enough = await new_visitor().register("Alice", "q7" + letter * 13)

    assert (short.status, numbers(short.errors_beside("password"))) == (400, [15, 14])
    assert enough.status == 302


@pytest.mark.requirement("6.2.3")
@pytest.mark.parametrize(
    "fields",
    mostly_slow(
        [
            {},
            {"current_password": ""},
            {"current_password": " "},
            {"current_password": "\x00"},
            {"current_password": PASSWORD[:-1]},
            {"current_password": PASSWORD + " "},
            {"current_password": " " + PASSWORD},
            {"current_password": PASSWORD + "\x00"},
            {"current_password": PASSWORD.upper()},
            {"current_password": PASSWORD + "x" * 1024},
            {"current_password": NEW_PASSWORD},
            {"current": PASSWORD},
            {"password": PASSWORD},
            {"Current_Password": PASSWORD},
            {"current_password ": PASSWORD},
            {"current_password[]": PASSWORD},
            {"current_password.0": PASSWORD},
            {"username": "Alice", "password": PASSWORD},
        ],
        quick=5,
    ),
    ids=repr,
)
async def test_password_change_requires_the_current_password(
    visitor: Visitor, new_visitor: NewVisitor, fields: dict[str, str]
) -> None:
    await visitor.register("Alice")

    page = await visitor.fill_in("/account/password", new_password=NEW_PASSWORD, **fields)

    assert page.status == 400
    assert (await new_visitor().sign_in("Alice", NEW_PASSWORD)).status == 400
    assert (await new_visitor().sign_in("Alice", PASSWORD)).status == 302


@pytest.mark.requirement("6.2.3")
@pytest.mark.parametrize("new", ["", " " * 14, "short"])
async def test_password_change_requires_a_new_password(visitor: Visitor, new_visitor: NewVisitor, new: str) -> None:
    await visitor.register("Alice")

    assert (await change_password(visitor, new=new)).status == 400
    assert (await new_visitor().sign_in("Alice", PASSWORD)).status == 302


@pytest.mark.requirement("6.2.4", "N7")
async def test_common_passwords_are_rejected_at_registration_and_password_change(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register("Alice")
    entries = Path(denylist.__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines()
    shortest = Settings().password_min_length
    long_enough = [entry for entry in entries if len(entry) >= shortest]
    sample = Random(6).sample(long_enough, 20)

    registering = [await new_visitor().register("Bob", password) for password in sample]
    changing = [await change_password(visitor, new=password) for password in sample]

    told = {page.errors_beside("password") for page in registering}
    told |= {page.errors_beside("new_password") for page in changing}
    assert {page.status for page in (*registering, *changing)} == {400}
    [reason] = told
    assert "common" in reason
    assert len(long_enough) >= 3000


@pytest.mark.requirement("N7")
@pytest.mark.parametrize("password", ["passwordqzjwkfmxutrbpelcdnaoi", "manchesterunited qzjw", "aliceqzjwkfmxutrbpe"])
async def test_password_denylist_is_compared_with_the_whole_password(visitor: Visitor, password: str) -> None:
    assert (await visitor.register("Alice", password)).status == 302


@pytest.mark.requirement("N8")
async def test_a_rejected_password_gets_a_reason(new_visitor: NewVisitor) -> None:
    pages = [
        await new_visitor().register("Alice", password)
        for password in ("short", "manchesterunited", "alicealicealicealice", "x" * 1025)
    ]

    told = [page.errors_beside("password") for page in pages]
    assert len(set(told)) == 4
    assert [numbers(told[0]), numbers(told[3])] == [[15, 5], [1024, 1025]]
    assert "common" in told[1]
    assert "username" in told[2]


FORMS = ["/login", "/register", "/reauthenticate", "/account/password", "/account/delete"]


def password_inputs(page: Page) -> list[str]:
    return [tag for tag in re.findall(r"<input[^>]*>", page.text) if re.search(r'name="\w*password"', tag)]


@pytest.mark.requirement("6.2.6", "6.2.7", "N11")
@pytest.mark.parametrize("path", FORMS)
async def test_password_fields_are_masked_and_allow_password_managers(
    visitor: Visitor, new_visitor: NewVisitor, path: str
) -> None:
    await visitor.register("Alice")
    who = new_visitor() if path in {"/login", "/register"} else visitor
    typed = "wrong, and too short"[:14]
    fields = {"username": "Bob", "password": typed, "current_password": typed, "new_password": typed}

    page, refused = await who.get(path), await who.fill_in(path, **fields)

    assert refused.status == 400
    for shown in (page, refused):
        inputs = password_inputs(shown)
        assert inputs
        assert all('type="password"' in tag for tag in inputs)
        assert all(re.search(r'autocomplete="(?:current|new)-password"', tag) for tag in inputs)
        assert not re.search(r'value="[^"]', "".join(inputs))
        assert typed not in shown.text
        assert not re.search(r'onpaste|oncopy|ondrop|maxlength|type="password"[^>]*autocomplete="off"', shown.text)


@pytest.mark.requirement("6.2.7")
async def test_password_fields_have_the_right_autocomplete_attribute(visitor: Visitor, new_visitor: NewVisitor) -> None:
    await visitor.register("Alice")
    pages = [await new_visitor().get("/login"), await new_visitor().get("/register"), await visitor.get(FORMS[3])]

    named = [
        {(name, kind) for kind, name in re.findall(r'autocomplete="([\w-]+)"[^>]*? name="(\w+)"', page.text)}
        | {(name, kind) for name, kind in re.findall(r'name="(\w+)"[^>]*? autocomplete="([\w-]+)"', page.text)}
        for page in pages
    ]

    assert named == [
        {("username", "username"), ("password", "current-password")},
        {("username", "username"), ("password", "new-password")},
        {("username", "username"), ("current_password", "current-password"), ("new_password", "new-password")},
    ]


#: Two passwords that somebody might take for one: cut, trimmed, folded, or read as something else.
DISTINCT = [
    ("correct horse battery", "correct horse battery "),
    ("correct horse battery", " correct horse battery"),
    ("correct horse battery", "correct  horse battery"),
    ("correct horse battery", "correct\thorse battery"),
    ("correct horse battery", "correct\u00a0horse battery"),
    ("correct horse battery", "correct horse battery\n"),
    ("correct horse battery", "correct horse battery\x00"),
    ("correct\x00horse battery", "correct\x00house battery"),
    ("correct horse battery", "Correct horse battery"),
    ("correct horse battery", "CORRECT HORSE BATTERY"),
    ("correct horse battery", "correct horse batterу"),
    ("ﬁve boxing wizards", "five boxing wizards"),
    ("ｃorrect horse battery", "correct horse battery"),
    ("correct horse battery ²", "correct horse battery 2"),
    ("straße straße straße", "strasse strasse strasse"),
    ("ıstanbul istanbul", "istanbul istanbul"),
    ("correct+horse+battery", "correct horse battery"),
    ("correct%20horse%20battery", "correct horse battery"),
    ("correct&amp;horse&amp;battery", "correct&horse&battery"),
    ("correct\\u0020horse\\u0020battery", "correct horse battery"),
    ("e\u0301tude " * 5, "etude " * 5),
    ("zero\u200bwidth\u200bspaces", "zerowidthspaces"),
    ("👩‍💻 👩‍💻 👩‍💻 👩‍💻 👩‍💻", "👩💻 👩💻 👩💻 👩💻 👩💻"),
    *((f"{'x' * size}a", f"{'x' * size}b") for size in (15, 16, 31, 32, 55, 63, 64, 71, 72, 127, 128, 255, 256, 1023)),
    *((f"{'x' * size}a", f"{'x' * size}") for size in (72, 128, 1023)),
    *(("é" * size + "a", "é" * size + "b") for size in (35, 36, 64, 511, 1023)),
]


@pytest.mark.requirement("6.2.8", "N4")
@pytest.mark.parametrize(("chosen", "typed"), mostly_slow(DISTINCT), ids=range(len(DISTINCT)))
async def test_passwords_are_verified_without_truncation_or_case_folding(
    new_visitor: NewVisitor, chosen: str, typed: str
) -> None:
    registered = await new_visitor().register("Mallory", chosen)

    wrong, right = await new_visitor().sign_in("Mallory", typed), await new_visitor().sign_in("Mallory", chosen)

    assert [page.status for page in (registered, wrong, right)] == [302, 400, 302]


@pytest.mark.requirement("6.2.9", "N2", "N5")
@pytest.mark.parametrize(
    "password",
    [
        "x7" * 32,
        "😀字é " * 16,
        "".join(map(chr, range(0x20, 0x7F))),
        " " + "".join(map(chr, range(0xA0, 0x180))),
        "".join(map(chr, range(0x1F600, 0x1F640))),
        "нотариально заверенный скриншот, и ещё сорок символов после него",
        "パスワード" * 13,
        "\u202ehidden\u200b and \ufeff odd\x07 \x7f characters \U0010ffff, all of them kept, none left out",
    ],
    ids=range(8),
)
async def test_passwords_of_sixty_four_characters_of_any_kind_are_allowed(
    new_visitor: NewVisitor, password: str
) -> None:
    registered = await new_visitor().register("Alice", password)

    assert len(password) >= 64
    assert registered.status == 302
    assert (await new_visitor().sign_in("Alice", password)).status == 302
    assert (await new_visitor().sign_in("Alice", password[:-1])).status == 400


@pytest.mark.requirement("6.2.11")
@pytest.mark.parametrize("password", ["mallory-quartlogin", "QUARTLOGINmallory!!", "malloryMALLORY12345"])
async def test_context_specific_passwords_are_rejected_everywhere(
    visitor: Visitor, new_visitor: NewVisitor, password: str
) -> None:
    registering = await visitor.register("Mallory", password)
    await visitor.register("Mallory")
    changing = await change_password(visitor, new=password)

    assert "your username" in registering.errors_beside("password")
    assert "your username" in changing.errors_beside("new_password")


# --- 6.3: signing in


@pytest.mark.slow
@pytest.mark.requirement("6.3.1", "C15")
async def test_brute_force_with_a_dictionary_that_contains_the_password_fails(app: Quart, alice: str) -> None:
    """What a guesser does who does not wait, from several addresses, with the needle behind the sixth place."""
    for needle in (6, 20, 40):
        words = [f"guess number {number}" for number in range(60)]
        words[needle] = PASSWORD

        found = [
            word
            for number, word in enumerate(words)
            if (await guess(app, password=word, address=f"192.0.2.{number % 4}")).status == 302
        ]

        assert found == []


@pytest.mark.requirement("6.3.2")
async def test_default_accounts_do_not_exist(app: Quart, database: str) -> None:
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(0,)]
    for name in ("admin", "root", "administrator", "test", "guest", "user", "quartlogin"):
        for password in (name, "", "password", "changeme", f"{name}{name}{name}"):
            page = await guess(app, name, password, address=f"192.0.2.{len(name)}")
            assert page.status in {400, 429}


@pytest.mark.requirement("6.3.4")
@both_databases
async def test_a_disabled_user_cannot_sign_in_by_any_authentication_method(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await add_user(app, "Alice")
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    token = re.search(r"<code>([\w.-]{40,})</code>", made.text)[1]  # type: ignore[index]
    ways = [{"Cookie": f"{name}={visitor.cookies[name]}"} for name in ("quartlogin", "quartlogin_remember")]
    ways.append({"Authorization": f"Bearer {token}"})

    async def statuses() -> list[int]:
        return [(await app.test_client(use_cookies=False).get("/api/me", headers=way)).status_code for way in ways]

    before = await statuses()
    await set_active(app, "alice", active=False)

    assert before == [200, 200, 200]
    assert await statuses() == [302, 302, 401]
    assert (await guess(app, password=PASSWORD)).status == 400


@pytest.mark.requirement("6.3.5")
@both_databases
@pytest.mark.parametrize("failures", [4, 5, 7])
async def test_failed_attempts_are_reported_at_the_next_sign_in(
    app: Quart, alice: str, now: list[float], database: str, failures: int
) -> None:
    owner = Visitor(app.test_client())
    now[0] = 1_900_000_000
    await owner.sign_in("Alice")
    await owner.sign_out()
    for _ in range(failures):
        now[0] += 100
        assert (await guess(app)).status == 400
    now[0] += 100

    await owner.sign_in("Alice")

    told = (await owner.get("/")).text
    notice = re.search(rf"\b{failures} failed\b.*\b17 March 2030, 17:46 UTC", told)
    assert (notice is not None) == (failures >= 5)
    kinds = [kind for (kind,) in run_sql(database, "SELECT kind FROM quartlogin_events")]
    assert kinds.count("signed_in_after_failures") == (failures >= 5)
    await owner.sign_out()
    await owner.sign_in("Alice")
    assert not re.search(r"\d failed\b", (await owner.get("/")).text)


@pytest.mark.requirement("6.3.5")
async def test_failed_attempts_are_reported_at_the_first_sign_in(
    app: Quart, database: str, alice: str, visitor: Visitor
) -> None:
    for _ in range(5):
        await visitor.sign_in("Alice", WRONG)
    run_sql(database, "DELETE FROM quartlogin_attempt_counters")

    await visitor.sign_in("Alice")

    assert re.search(r"\b5 failed\b", (await visitor.get("/")).text)


@pytest.mark.requirement("6.3.8", "C1")
@both_databases
async def test_username_enumeration_every_failed_sign_in_gets_the_same_response(
    app: Quart, alice: str, database: str
) -> None:
    for name in ("Bob", "Carol", "Dave"):
        await add_user(app, name)
    await set_active(app, "bob", active=False)
    run_sql(
        database,
        "UPDATE quartlogin_passwords SET password_hash = 'unreadable' WHERE user_id ="
        " (SELECT id FROM quartlogin_users WHERE username = 'Carol')",
    )
    run_sql(
        database,
        "UPDATE quartlogin_passwords SET expires_at = 1 WHERE user_id = (SELECT id"
        " FROM quartlogin_users WHERE username = 'Dave')",
    )
    tries = [("Alice", WRONG), ("Eve", PASSWORD), ("Bob", PASSWORD), ("Carol", PASSWORD), ("Dave", PASSWORD)]

    pages = [await guess(app, name, password, f"192.0.2.{len(name)}") for name, password in tries]

    assert {page.status for page in pages} == {400}
    assert len({comparable(page, name) for page, (name, _) in zip(pages, tries, strict=True)}) == 1


@pytest.mark.requirement("6.3.8", "C1")
async def test_username_enumeration_every_failed_sign_in_runs_the_same_queries_and_one_hash(
    app: Quart, alice: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Bob", "Dave"):
        await add_user(app, name)
    await set_active(app, "bob", active=False)
    run_sql(
        database,
        "UPDATE quartlogin_passwords SET expires_at = 1 WHERE user_id = (SELECT id"
        " FROM quartlogin_users WHERE username = 'Dave')",
    )
    asked: list[Any] = []
    execute, verify = aiosqlite.Connection._execute, PasswordHasher.verify

    async def noted(connection: aiosqlite.Connection, function: Any, *args: Any, **options: Any) -> Any:
        asked.append(args[0] if args else function.__name__)
        return await execute(connection, function, *args, **options)

    def noted_too(hasher: PasswordHasher, stored: str, password: str) -> bool:
        asked.append(extract_parameters(stored))
        return verify(hasher, stored, password)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
    monkeypatch.setattr(PasswordHasher, "verify", noted_too)
    seen = {}
    for name, password in (("Alice", WRONG), ("Eve", PASSWORD), ("Bob", PASSWORD), ("Dave", PASSWORD)):
        await guess(app, name, password)
        seen[name] = asked.copy()
        asked.clear()

    assert len(seen["Alice"]) > 5
    assert [seen[name] for name in ("Eve", "Bob", "Dave")] == [seen["Alice"]] * 3


@pytest.mark.requirement("6.3.8", "C1")
async def test_username_enumeration_rate_limited_names_get_the_same_response(
    app: Quart, alice: str, now: list[float]
) -> None:
    await add_user(app, "Bob")
    await set_active(app, "bob", active=False)
    pages = {}
    for number, name in enumerate(("Alice", "Eve", "Bob")):
        for _ in range(6):
            pages[name] = await guess(app, name, address=f"192.0.2.{number}")

    assert {page.status for page in pages.values()} == {429}
    assert len({comparable(page, name) for name, page in pages.items()}) == 1


@pytest.mark.requirement("6.3.8")
@pytest.mark.parametrize("spelling", ["ALICE", "alice", " Alice ", "Ａlice", "aLICE"])
async def test_username_enumeration_delays_are_the_same_for_other_spellings_of_a_name(
    app: Quart, alice: str, spelling: str
) -> None:
    other = spelling.translate(str.maketrans("AaＡ", "EeＥ"))
    for _ in range(5):
        await guess(app, "Alice"), await guess(app, "Elice")

    known, unknown = await guess(app, spelling), await guess(app, other)

    assert (known.status, unknown.status) == (429, 429)


def comparable(page: Page, name: str) -> str:
    """An answer without what differs between any two: the token, the session, the date and the name that was typed."""
    headers = [f"{key}: {value}" for key, value in page.headers if key not in {"Date", "Set-Cookie", "Content-Length"}]
    text = re.sub(r'(name="csrf_token" value=)"\w+"', r"\1", page.text).replace(f'value="{name}"', "")
    return "\n".join([str(page.status), *sorted(headers), text])


# --- 6.4: recovery


@pytest.mark.requirement("6.4.2", "N9")
def test_password_hints_and_secret_questions_do_not_exist() -> None:
    schema = (PACKAGE.parents[1] / "schema.sql").read_text(encoding="utf-8")
    fields = {name for form in CSRFForm.__subclasses__() for name in vars(form)}

    assert {"username", "password", "new_password"} <= fields
    assert not [word for word in ("hint", "question", "answer", "reminder") if word in schema]
    assert not [name for name in fields if re.search("hint|question|answer|reminder", name)]
