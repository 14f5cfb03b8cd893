"""Injection, XSS, mass assignment, parameter pollution, ReDoS: encoding and validation (ASVS V1 and V2)."""

import ast
import asyncio
import importlib
import json
import pkgutil
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from quart import Quart

import quartlogin
from client import PASSWORD, Visitor, add_user
from databases import both_databases, run_sql
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.features.api_tokens import forms as token_forms
from quartlogin.accounts.features.logins.service import MAX_TOKENS
from quartlogin.accounts.features.logins.table import Logins
from quartlogin.accounts.features.passwords import forms as password_forms
from quartlogin.accounts.features.passwords import hashing
from quartlogin.accounts.pages import forms
from quartlogin.accounts.users.own import RULE
from quartlogin.webapp import settings as application_settings
from slow import mostly_slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
FIELDS = PAGE.partition("### Form fields")[2].partition("\n#")[0]
STORE = sorted(path for path in (ROOT / "quartlogin").rglob("*.py") if "new_project" not in path.parts)


@cache
def trees() -> dict[Path, ast.Module]:
    """The modules of the package, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in STORE}


NewVisitor = Callable[[], Visitor]

SQL = [
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR ""="',
    "'; DROP TABLE quartlogin_users; --",
    "') OR ('a'='a",
    "admin'--",
    "alice' AND (SELECT 1)=1 --",
    "alice' AND randomblob(1000000000) --",
    "alice'; SELECT pg_sleep(10); --",
    "alice' UNION SELECT user_id, security_stamp, NULL, 0, password_hash, NULL FROM quartlogin_passwords --",
    "alice%",
    "_lice",
    "alice\\",
    "alice\\'",
    "$1",
    "$1; --",
    ":1",
    "?",
    "%s",
    "{0}",
    "alice\x00",
    "ａlice' OR 1=1",
    "alice'/**/OR/**/1=1",
    "0x27",
    "CHAR(39)",
    "alice' AND 1=CAST((SELECT password_hash FROM quartlogin_passwords) AS INTEGER) --",
    "'||(SELECT password_hash FROM quartlogin_passwords)||'",
]
TEMPLATES = [
    "{{7*7}}",
    "{{ 7 * 7 }}",
    "{%print 7*7%}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{config}}",
    "{{''.__class__}}",
]
HTML = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
]


# --- going out


@pytest.mark.requirement("1.2.1", "1.2.2", "1.3.7", "1.3.2")
@pytest.mark.parametrize("text", mostly_slow([*TEMPLATES, *HTML], quick=3), ids=range(len(TEMPLATES) + len(HTML)))
@pytest.mark.parametrize("where", ["username", "next", "token name", "address"])
async def test_xss_reflected_input_is_escaped(visitor: Visitor, where: str, text: str) -> None:
    await visitor.register("Alice")
    token = (await visitor.get("/account")).token
    sends = {
        "username": lambda: visitor.post("/register", {"csrf_token": token, "username": text, "password": "x"}),
        "next": lambda: visitor.get("/reauthenticate", query_string={"next": text}),
        "token name": lambda: visitor.post("/account/tokens", {"csrf_token": token, "name": text}),
        "address": lambda: visitor.get(f"/{text}".replace("#", "%23").replace("?", "%3F")),
    }

    page = await sends[where]()
    hidden_fields = r'<input type="hidden" name="csrf_token"[^>]*>|<time.*?</time>|<code>.*?</code>'
    shown = re.sub(hidden_fields, "", page.text)

    assert page.status < 500
    assert "<script>alert" not in shown
    assert not re.search(r"<(img src=x|svg)|[\"']on(error|mouseover|load)=", shown)
    assert not re.search(r"\b49\b", shown)
    assert "SECRET_KEY" not in shown


@pytest.mark.requirement("1.2.1")
@pytest.mark.parametrize(
    "target",
    [
        "/x\r\nSet-Cookie: a=b",
        "/x\nLocation: //evil",
        "/x\r\n\r\n<script>",
        "/x%0d%0aSet-Cookie:a=b",
        "/\u2028x",
        "/\x85x",
    ],
)
async def test_header_injection_through_next_is_impossible(app: Quart, visitor: Visitor, target: str) -> None:
    await add_user(app, "Alice")

    answer = await visitor.fill_in("/login", username="Alice", password=PASSWORD, next=target)

    assert answer.status == 302
    assert all(32 <= ord(character) < 127 for character in answer.location or "")
    assert "a=b" not in [value for name, value in answer.headers.items() if name.lower() == "set-cookie"]


@pytest.mark.requirement("1.2.2")
@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "JaVaScRiPt:x", " javascript:x", "blob:x"]
)
async def test_open_redirect_to_another_scheme_is_rejected(app: Quart, visitor: Visitor, target: str) -> None:
    await add_user(app, "Alice")

    answer = await visitor.fill_in("/login", username="Alice", password=PASSWORD, next=target)

    assert answer.location == "/"


@pytest.mark.requirement("1.2.2")
async def test_the_requested_url_is_encoded_into_the_login_url(visitor: Visitor) -> None:
    answer = await visitor.get("/account?a=1&next=//evil&b=%26%23")

    assert answer.location == "/login?next=%2Faccount%3Fa%3D1%26next%3D%2F%2Fevil%26b%3D%2526%2523"


@pytest.mark.requirement("1.1.1")
@pytest.mark.parametrize("target", ["/%252F%252Fevil.example", "/%2F%2Fevil.example", "/%255cevil.example"])
async def test_double_encoding_urls_are_decoded_once(app: Quart, visitor: Visitor, target: str) -> None:
    await add_user(app, "Alice")

    answer = await visitor.fill_in("/login", username="Alice", password=PASSWORD, next=target)

    assert answer.location == target


@pytest.mark.requirement("1.2.3", "4.1.1")
@pytest.mark.parametrize("part", ['"', "\\", "</script>", "\u2028", "é\U0001f600", "\x01", "{}[],:"])
async def test_problem_documents_are_valid_json_for_any_path(app: Quart, visitor: Visitor, part: str) -> None:
    public_id = part.replace("/", "")

    answer = await visitor.request(
        "POST", f"/account/logins/{public_id}/revoke", headers={"Accept": "application/json"}, form={}
    )

    assert answer.status == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.text)["instance"] == f"/account/logins/{public_id}/revoke"


# --- the database


@pytest.mark.requirement("1.2.4")
@both_databases
async def test_sql_injection_through_names_and_references_is_impossible(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor, database: str
) -> None:
    await visitor.register("Alice")
    token = (await visitor.get("/account")).token
    before = run_sql(
        database, "SELECT username, password_hash FROM quartlogin_users JOIN quartlogin_passwords ON user_id = id"
    )
    statuses = set()

    for text in SQL:
        stranger, public_id = new_visitor(), re.sub("[/?#]", "", text)
        form = (await stranger.get("/login")).token
        bearer = f"Bearer {text.encode().decode('latin-1')}".replace("\0", "")
        answers = [
            await stranger.post("/login", {"csrf_token": form, "username": text, "password": PASSWORD}),
            await visitor.post(f"/account/logins/{public_id}/revoke", {"csrf_token": token}),
            await stranger.get("/api/me", headers={"Authorization": bearer}),
        ]
        statuses.add(tuple(answer.status for answer in answers))

    assert statuses <= {(400, 404, 401), (429, 404, 401), (400, 405, 401)}
    assert (
        run_sql(
            database, "SELECT username, password_hash FROM quartlogin_users JOIN quartlogin_passwords ON user_id = id"
        )
        == before
    )


@pytest.mark.requirement("1.2.4")
def test_sql_injection_statements_are_constants() -> None:
    """Texts that are put together hold names of constants (in capitals), numbers, and nothing else.

    `database/active_logins.py` puts its arguments into conditions; whoever calls it gives texts that are written out.
    `features/logins/user_loader.py` adds columns and a join: written out, or of names that `UserColumns` has checked.
    """
    is_sql = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|SET LOCAL|PRAGMA|CREATE)\b")
    is_constant = re.compile(
        r"_?[A-Z_]+|int\(.*\)|number \+ \d+|', '\.join\(.*range\((MAX_USERS|size)\)\)+"
        r"|(is_active_sql|select_active)\((('[^']*'|\"[^\"]*\")(, )?)+\)"
    )
    of_arguments = {
        "active_logins.py": re.compile(r"now|idle_since|which|lasts|is_active_sql\(now, idle_since\)"),
        "user_loader.py": re.compile(rf"columns|join|{is_constant.pattern}"),
    }

    inserted = [
        (path.name, ast.unparse(part.value))
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and is_sql.search(ast.unparse(node))
        for part in ast.walk(node)
        if isinstance(part, ast.FormattedValue)
    ]

    assert inserted
    assert [(name, text) for name, text in inserted if not of_arguments.get(name, is_constant).fullmatch(text)] == []


@pytest.mark.requirement("1.2.4")
def test_sql_injection_statements_are_never_formatted_or_concatenated() -> None:
    nodes = [node for path, tree in trees().items() if path.parent.name != "quartlogin" for node in ast.walk(tree)]

    added = [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add | ast.Mod)
        and re.search(r"SELECT|INSERT|UPDATE|DELETE|WHERE", ast.unparse(node))
    ]
    formatted = [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") in {"format", "replace", "format_map"}
        and re.search(r"SELECT|INSERT|UPDATE|DELETE|WHERE", ast.unparse(node))
    ]

    assert added + formatted == []


# --- regular expressions


def patterns() -> dict[str, re.Pattern[str]]:
    """Every regular expression that a module of the package keeps."""
    found: dict[str, re.Pattern[str]] = {}
    for module in pkgutil.walk_packages(quartlogin.__path__, "quartlogin."):
        if not module.name.endswith("__main__"):
            names = vars(importlib.import_module(module.name))
            found |= {f"{module.name}.{name}": it for name, it in names.items() if isinstance(it, re.Pattern)}
    return found


PATTERNS = patterns()
SHORT, LONG = 250, 16_000
HOSTILE = [
    (piece, end)
    for piece in (
        "a",
        "a.",
        "a-",
        ".",
        "0",
        "0f",
        "+",
        "-1",
        ":",
        "[",
        " ",
        "\n",
        "é",
        "\u034f",
        "$",
        "$a",
        "=,",
        "aB0_",
        "'/:",
    )
    for end in ("", "!", "\n")
]


def cpu_of(pattern: re.Pattern[str], text: str, times: int) -> float:
    """How long an expression takes for a text, so many times: the shortest of five runs, in seconds of this process."""
    runs = []
    subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
    for _ in range(5):
        begun = time.process_time()
        for _ in range(times):
            pattern.search(subject)
            pattern.fullmatch(subject)
        runs.append(time.process_time() - begun)
    return min(runs)


def growth(pattern: re.Pattern[str], piece: str, end: str) -> float:
    """How much longer one long text takes than the same characters in short texts: 1 if linear, 64 if quadratic."""
    short, long = (piece * (size // len(piece)) + end for size in (SHORT, LONG))
    return cpu_of(pattern, long, 1) / cpu_of(pattern, short, LONG // SHORT)


@pytest.mark.alone
@pytest.mark.requirement("1.3.12")
@pytest.mark.parametrize("name", PATTERNS)
def test_redos_regular_expressions_take_linear_time(name: str) -> None:
    steepest = max(growth(PATTERNS[name], piece, end) for piece, end in HOSTILE)

    assert steepest < 8


@pytest.mark.alone
def test_redos_check_detects_a_quadratic_regular_expression() -> None:
    assert growth(re.compile(r"[0-9a-f]+!"), "0f", "\n") > 8


def test_redos_the_list_of_remember_tokens_is_parsed_word_by_word() -> None:
    """Every place of a text without an entry is a first character at most once, not 64 times."""
    entry = PATTERNS["quartlogin.accounts.features.logins.remember_rotation._ENTRY"]

    assert entry.findall(f"{'a' * 100}+1 b{'c' * 63}+1 x0+1 0+1x 0!1") == [(f"b{'c' * 63}", "+", "1"), ("0", "!", "1")]


@pytest.mark.requirement("1.3.12")
def test_redos_check_sees_every_regular_expression() -> None:
    uses = re.compile(r"re\.(search|match|fullmatch|split|findall|finditer|subn?)")

    hidden = [
        path.name
        for path in STORE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and uses.fullmatch(ast.unparse(node.func))
    ]

    # There, words that are tried in turn: test_common_passwords.py has a million hostile characters for it. And new.py
    # replaces a few words in files of its own.
    assert sorted(hidden) == ["denylist.py", "new.py"]


# --- numbers, fields, forms


@pytest.mark.requirement("1.4.2", "2.2.1")
@pytest.mark.parametrize(
    "days",
    mostly_slow(
        ["0", "-1", "367", "9" * 30, "9" * 5000, "1e2", "1.5", "０", "１", " 5", "0x10", "1_0", "nan", "", "+3", "٣"],
        quick=4,
    ),
)
async def test_input_validation_days_out_of_range_are_rejected(visitor: Visitor, database: str, days: str) -> None:
    await visitor.register("Alice")
    token = (await visitor.get("/account")).token

    page = await visitor.post("/account/tokens", {"csrf_token": token, "name": "x", "days": days})

    ends = run_sql(database, "SELECT expires_at - made_at FROM quartlogin_logins WHERE kind = 'bearer'")
    assert page.status in {200, 400}
    assert all(86400 <= seconds <= 366 * 86400 for (seconds,) in ends)
    assert len(ends) == (1 if page.status == 200 else 0)


@pytest.mark.requirement("1.4.2", "8.2.2")
@pytest.mark.parametrize(
    "public_id", ["99999999999999999999", "-1", "0", "1e9", "9" * 200, "%00", "%ff", "0" * 16, "F" * 16]
)
async def test_input_validation_an_unknown_reference_is_not_found(visitor: Visitor, public_id: str) -> None:
    await visitor.register("Alice")
    token = (await visitor.get("/account")).token

    answers = [
        await visitor.post(f"/account/{kind}/{public_id}/revoke", {"csrf_token": token})
        for kind in ("logins", "tokens")
    ]

    assert [answer.status for answer in answers] == [404, 404]


@pytest.mark.requirement("1.5.3", "15.3.7")
@pytest.mark.parametrize(
    "body",
    [
        "username=alice&username=bob&password={p}",
        "username=bob&username=alice&password={p}",
        "username=alice&password=x&password={p}",
        "username=alice&%75sername=bob&password={p}",
        "username=alice&username&password={p}",
        "csrf_token=x&username=alice&password={p}",
    ],
)
async def test_parameter_pollution_duplicate_fields_are_rejected(app: Quart, visitor: Visitor, body: str) -> None:
    await add_user(app, "Alice")
    token = (await visitor.get("/login")).token
    data = f"csrf_token={token}&" + body.format(p=PASSWORD.replace(" ", "+"))

    answer = await visitor.request(
        "POST", "/login", data=data, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status == 400
    assert not await visitor.is_signed_in()


@pytest.mark.requirement("15.3.7")
@pytest.mark.parametrize("place", ["query", "username[]", "username.0", "header", "cookie"])
async def test_parameter_pollution_fields_count_only_in_the_body(app: Quart, visitor: Visitor, place: str) -> None:
    await add_user(app, "Alice")
    token = (await visitor.get("/login")).token
    options: dict[str, Any] = {
        "query": {"query_string": {"username": "Alice", "password": PASSWORD}},
        "header": {"headers": {"Username": "Alice", "Password": PASSWORD}},
        "cookie": {"headers": {"X": "username=Alice; password=" + PASSWORD}},
    }.get(place, {})
    fields = {} if options else {place: "Alice", "password": PASSWORD}

    answer = await visitor.post("/login", {"csrf_token": token, **fields}, **options)

    assert answer.status == 400
    assert not await visitor.is_signed_in()


@pytest.mark.requirement("15.3.3")
async def test_mass_assignment_extra_fields_reach_no_column(
    visitor: Visitor, new_visitor: NewVisitor, database: str
) -> None:
    await new_visitor().register("Alice")
    [(alice,)] = run_sql(database, "SELECT id FROM quartlogin_users")
    more = {
        **dict.fromkeys(("id", "user_id", "user", "_user_id", "login_ref", "ref"), alice),
        "is_active": "0",
        "epoch": "99",
        "password_hash": "x",
        "is_admin": "1",
        "kind": "bearer",
        "expires_at": "9" * 12,
    }

    await visitor.fill_in("/register", username="Mallory", password=PASSWORD, **more)
    await visitor.fill_in("/account/password", current_password=PASSWORD, new_password=PASSWORD + "!", **more)
    token = (await visitor.get("/account")).token
    await visitor.post("/account/tokens", {"csrf_token": token, "name": "x", **more})
    await visitor.post("/account/logins/revoke-others", {"csrf_token": token, **more})

    owners = run_sql(
        database,
        "SELECT username, kind, count(*) FROM quartlogin_logins"
        " JOIN quartlogin_users u ON u.id = user_id GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert owners == [("Alice", "session", 1), ("Mallory", "bearer", 1), ("Mallory", "session", 1)]
    assert run_sql(database, "SELECT disabled_at FROM quartlogin_accounts") == [(None,), (None,)]
    assert (await visitor.get("/api/me")).text.count("Mallory") == 1


@pytest.mark.requirement("15.3.1")
async def test_excessive_data_exposure_json_has_only_the_intended_fields(visitor: Visitor, database: str) -> None:
    await visitor.register("Alice")
    [(user_id,)] = run_sql(database, "SELECT id FROM quartlogin_users")

    answer = json.loads((await visitor.get("/api/me")).text)

    assert answer == {"id": user_id, "username": "Alice"}


@pytest.mark.requirement("2.1.1", "2.1.3")
def test_input_validation_table_in_the_docs_matches_the_code() -> None:
    in_page = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", FIELDS, re.MULTILINE))
    default = application_settings.Settings().password_min_length

    assert in_page.keys() == {
        name
        for form in (password_forms.LoginForm, password_forms.PasswordForm, token_forms.TokenForm)
        for name in vars(form)
        if hasattr(getattr(form, name), "field_class")
    } | {"csrf_token", "public_id"}
    assert in_page["username"].startswith(RULE.removeprefix("Use ").removesuffix("."))
    assert f"{default} to {hashing.MAX_PASSWORD_LENGTH} characters" in in_page["new_password"]
    assert f"up to {hashing.MAX_PASSWORD_LENGTH} characters" in in_page["password"]
    assert f"up to {quartlogin.config.NEXT_MAX_LENGTH} characters" in in_page["next"]
    assert f"1 to {token_forms.MAX_TOKEN_NAME} characters" in in_page["name"]
    assert f"1 to {token_forms.MAX_TOKEN_DAYS}" in in_page["days"]
    assert f"at most {forms._MAX_FIELDS} fields" in FIELDS
    assert f"at most {MAX_TOKENS} tokens" in FIELDS


@pytest.mark.requirement("2.2.3")
async def test_a_password_that_matches_the_username_is_rejected(visitor: Visitor, database: str) -> None:
    made_of_the_name = await visitor.register("Bartholomew", "bartholomewbartholomew")
    made_for_another = await visitor.register("Somebody", "bartholomewbartholomew")
    changed = await visitor.fill_in(
        "/account/password", current_password="bartholomewbartholomew", new_password="somebodysomebody"
    )

    assert [page.status for page in (made_of_the_name, made_for_another, changed)] == [400, 302, 400]
    assert run_sql(database, "SELECT username FROM quartlogin_users") == [("Somebody",)]


@pytest.mark.requirement("2.3.3")
@both_databases
async def test_registration_creates_no_account_when_its_login_fails(
    app: Quart, visitor: Visitor, database: str
) -> None:
    page = await visitor.get("/register")
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD}

    with mock.patch.object(Logins, "insert", side_effect=StoreUnavailable("no more")):
        failed = await visitor.post("/register", fields)
    is_signed_in = await visitor.is_signed_in()

    assert failed.status == 503
    assert "Set-Cookie" not in failed.headers
    assert not is_signed_in
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(0,)]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == [(0,)]
    assert (await visitor.post("/register", fields)).status == 302


@pytest.mark.requirement("2.3.3")
@both_databases
async def test_a_login_that_cannot_be_stored_does_not_sign_in(app: Quart, visitor: Visitor, database: str) -> None:
    await add_user(app, "Alice")
    page = await visitor.get("/login")
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "remember": "y"}

    with mock.patch.object(Logins, "insert", side_effect=StoreUnavailable("no more")):
        failed = await visitor.post("/login", fields)

    assert failed.status == 503
    assert "Set-Cookie" not in failed.headers
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]
    assert not await visitor.is_signed_in()


@pytest.mark.requirement("2.3.4", "15.4.2")
@both_databases
async def test_race_of_concurrent_password_changes_one_succeeds(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")
    page = await visitor.get("/account/password")
    new = [f"another staple, another horse {number}" for number in range(5)]

    answers = await asyncio.gather(
        *(
            Visitor(app.test_client(use_cookies=False)).post(
                "/account/password",
                {"csrf_token": page.token, "current_password": PASSWORD, "new_password": password},
                headers={"Cookie": f"quartlogin={visitor.cookies['quartlogin']}"},
            )
            for password in new
        )
    )
    signed_in = [(await Visitor(app.test_client()).sign_in("Alice", password)).status for password in new]

    made = [answer for answer in answers if answer.headers.get("Location") == "/account"]
    assert len(made) == 1
    assert {answer.status for answer in answers} <= {302, 400}  # who came after it has to sign in first
    assert signed_in.count(302) == 1
