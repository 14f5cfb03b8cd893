"""How the package is built: which module may know which, and which pages anybody may see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quart import Quart

import quartlogin
import quartlogin.accounts.commands
import quartlogin.explaining
from client import Visitor
from sockets import open_socket

PACKAGE = Path(quartlogin.__file__).parent

#: Each module of the extension may import those in the lines above its own.
LAYERS = [
    ["errors", "records", "telemetry.metrics_server", "telemetry.processes"],
    ["cache_headers", "callbacks", "context", "sessions.cookie_cache", "sessions.lazy"],
    ["tracing"],
    ["batching", "config", "clients", "fingerprint", "signals", "sessions.serializer", "unawaited", "user"],
    ["request_steps", "sessions.inspection", "sessions.login_session"],
    ["flask_login", "tokens"],
    ["request_state"],
    ["redirects", "websockets.origin", "remember_cookie"],
    ["authentication", "sessions.interface", "unauthorized", "websockets.registry"],
    ["request_user"],
    ["current_user"],
    ["decorators", "login"],
    ["request_hooks"],
    ["jinja", "explaining.recorder"],
    ["explaining.case", "explaining.names", "explaining.svg_text"],
    ["explaining.arrows"],
    ["explaining.folding", "explaining.story"],
    ["explaining.diagram"],
    ["explaining.gate"],
    ["explaining.app_rules", "explaining.cookie_rules", "explaining.guard_rules"],
    ["explaining.loading_rules", "explaining.login_rules"],
    ["explaining.missing_cookie_rules"],
    ["explaining.outcome_rules"],
    ["explaining.diagnosis"],
    ["explaining.pytest_plugin", "explaining.views", "telemetry.metrics", "telemetry.opentelemetry"],
    ["explaining.page"],
    ["testing", "manager"],
    [""],
]

#: What anybody may see. A page that is neither here nor guarded is a mistake.
PUBLIC = {
    "/",
    "/login",
    "/logout",
    "/register",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/.well-known/change-password",
    "/static/accounts/<path:filename>",
}

#: What to put in the place of a variable part of an address, by its converter.
SAMPLES = {None: "word", "string": "word", "path": "a/b", "int": "1", "float": "1.5"}

#: The other features that each feature may import.
MAY_USE = {
    "logins": set(),
    "passwords": {"logins"},
    "api_tokens": {"logins"},
    "registration": {"logins", "passwords"},
    "deletion": {"logins", "passwords"},
}
BESIDE_FEATURE = 2  # dots of an import from the folder of the features
MAX_ENTRIES = 24

LEVELS = {module: level for level, modules in enumerate(LAYERS) for module in modules}
#: The folders of the extension; their `__init__` modules import nothing, or the public names of the folder.
ROOMS = ["explaining", "sessions", "telemetry", "websockets"]
EXTENSION = sorted(path for room in (".", *ROOMS) for path in (PACKAGE / room).glob("*.py"))
ACCOUNTS = sorted((PACKAGE / "accounts").rglob("*.py"))
#: Without the project that `quartlogin new` copies, which is an app's code.
APPLICATION = sorted(path for path in (PACKAGE / "webapp").rglob("*.py") if "new_project" not in path.parts)
EVERYTHING = [*EXTENSION, *ACCOUNTS, *APPLICATION]


def imports_of(path: Path) -> list[tuple[int, str, list[str]]]:
    """List a module's imports: how many dots, from where, which names."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found.extend((0, alias.name, []) for alias in node.names)
    return found


def absolute_imports(paths: list[Path]) -> list[tuple[str, str, str]]:
    """List what these modules import from the package by its full name."""
    return [
        (label(path), module, name)
        for path in paths
        for dots, module, names in imports_of(path)
        if dots == 0 and module.split(".")[0] == "quartlogin"
        for name in names
    ]


def outside_of(paths: list[Path]) -> list[tuple[str, str]]:
    """List the relative imports of these modules that leave their package."""
    return [
        (label(path), module)
        for path in paths
        for dots, module, _ in imports_of(path)
        if dots >= len(path.relative_to(PACKAGE).parts)
    ]


def label(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def module_of(path: Path) -> str:
    """Return a module's name within the package, "" for the package's own."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def imported_by(path: Path) -> set[str]:
    """Return the modules of the extension that a module imports."""
    room = [*path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for dots, module, names in imports_of(path):
        if not dots:
            continue
        base = ".".join([*room[: len(room) + 1 - dots], *([module] if module else [])])
        within = [f"{base}.{name}".strip(".") for name in names]
        found.update([name for name in within if name in LEVELS] or [base])
    return found


def test_imports_of_the_extension_point_one_way() -> None:
    upwards = [
        (label(path), name)
        for path in EXTENSION
        if module_of(path) not in ROOMS
        for name in imported_by(path)
        if LEVELS[name] >= LEVELS[module_of(path)]
    ]

    assert upwards == []


def test_each_module_of_the_extension_has_its_place() -> None:
    assert {module_of(path) for path in EXTENSION} - {*ROOMS} == {*LEVELS}


def test_the_extension_knows_nothing_of_the_application_or_its_libraries() -> None:
    forbidden = {"aiosqlite", "argon2", "asyncpg", "wtforms", "click", "hypercorn", "accounts", "webapp"}

    used = [
        (label(path), part)
        for path in EXTENSION
        for _, module, _ in imports_of(path)
        for part in {*module.split(".")} & forbidden
    ]

    assert used == []


def test_accounts_use_only_the_public_names_of_the_extension() -> None:
    public = {("quartlogin", name) for name in (*quartlogin.__all__, "__version__", "tracing")}

    private = [entry for entry in absolute_imports(ACCOUNTS) if entry[1:] not in public]

    assert ACCOUNTS
    assert private == []


def test_the_application_uses_only_the_public_names_of_accounts_and_extension() -> None:
    public = {
        *(("quartlogin", name) for name in (*quartlogin.__all__, "__version__", "tracing")),
        *(("quartlogin.explaining", name) for name in quartlogin.explaining.__all__),
        ("quartlogin.telemetry.processes", "PROCESS_NUMBER"),
        ("quartlogin.telemetry.metrics", "serve_metrics"),
        *(("quartlogin.accounts", name) for name in quartlogin.accounts.__all__),
        *(("quartlogin.accounts.commands", name) for name in quartlogin.accounts.commands.__all__),
    }

    private = [entry for entry in absolute_imports(APPLICATION) if entry[1:] not in public]

    assert APPLICATION
    assert private == []
    assert outside_of(APPLICATION) == []


def test_accounts_import_nothing_of_the_application() -> None:
    assert outside_of(ACCOUNTS) == []
    assert [entry for entry in absolute_imports(ACCOUNTS) if "webapp" in entry[1]] == []


def test_a_feature_imports_only_features_below_it() -> None:
    """A feature may use the shared rooms, and the features that its own cannot do without."""
    sideways = [
        (label(path), module)
        for path in ACCOUNTS
        if path.parent.parent.name == "features"
        for dots, module, _ in imports_of(path)
        if dots == BESIDE_FEATURE and module.split(".")[0] not in MAY_USE[path.parent.name]
    ]

    assert sideways == []
    assert {path.name for path in (PACKAGE / "accounts" / "features").iterdir() if path.is_dir()} - {"__pycache__"} == {
        *MAY_USE
    }


def test_no_folder_has_more_entries_than_can_be_read_at_a_glance() -> None:
    folders = [PACKAGE / "accounts", PACKAGE / "webapp"]
    crowded = [
        (str(folder), len(entries))
        for top in folders
        for folder in [top, *(path for path in top.rglob("*") if path.is_dir())]
        if len(entries := [entry for entry in folder.iterdir() if entry.name != "__pycache__"]) > MAX_ENTRIES
    ]

    assert crowded == []


def test_no_private_name_crosses_a_file() -> None:
    private = [
        (label(path), name)
        for path in EVERYTHING
        for _, _, names in imports_of(path)
        for name in names
        if name.startswith("_") and name not in {"__version__"}
    ]

    assert private == []


def test_every_module_says_what_question_it_answers() -> None:
    silent = [
        label(path)
        for path in EVERYTHING
        if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        .split("\n")[0]
        .endswith((".", ":"))
    ]

    assert silent == []


def test_every_ignored_rule_has_its_reason() -> None:
    root = PACKAGE.parent
    folders = ("quartlogin", "benchmarks", "docs", "examples", "tools", ".ci")
    bare = re.compile(r"# noqa(?!: [A-Z0-9, ]+ -- \w)|# type: ignore(?!\[[\w, -]+\]  # .*\w)")

    unexplained = [
        f"{path.relative_to(root)}:{number}"
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]

    assert unexplained == []


def test_everything_that_is_promised_exists() -> None:
    missing = [name for name in quartlogin.__all__ if not hasattr(quartlogin, name)]

    assert missing == []
    assert quartlogin.__all__ == sorted(
        quartlogin.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )


def test_importing_the_extension_does_not_import_the_application() -> None:
    forbidden = "('quartlogin.accounts', 'quartlogin.webapp', 'aiosqlite', 'argon2')"
    script = f"import sys, quartlogin; print([name for name in sys.modules if name.startswith({forbidden})])"

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"


@pytest.mark.requirement("8.2.1", "8.3.1")
async def test_every_page_is_guarded_or_listed_as_public(app: Quart, visitor: Visitor) -> None:
    """Asked of the running application, not of its decorators: whoever is not signed in is sent to the login page."""
    guarded = sorted(
        (re.sub(r"<(?:(\w+):)?\w+>", lambda part: SAMPLES[part[1]], rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule not in PUBLIC and not rule.websocket
        for method in rule.methods - {"OPTIONS", "HEAD"}
    )

    answers = {where: await visitor.request(where[1], where[0]) for where in guarded}

    assert guarded
    assert {where: (page.status, page.location) for where, page in answers.items()} == {
        where: (302, "/login" if where[1] == "POST" else f"/login?next={where[0].replace('/', '%2F')}")
        for where in guarded
    }


@pytest.mark.requirement("8.2.1")
async def test_every_websocket_is_guarded(app: Quart) -> None:
    sockets = [rule.rule for rule in app.url_map.iter_rules() if rule.websocket]

    assert sockets == ["/account/live"]
    for path in sockets:
        async with open_socket(app, path) as socket:
            assert await socket.status() == 401


def test_the_list_of_public_pages_is_no_longer_than_the_list_of_pages(app: Quart) -> None:
    pages = {rule.rule for rule in app.url_map.iter_rules()}

    assert pages >= PUBLIC
