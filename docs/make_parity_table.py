"""Write the tables of `flask-login.md` from the installed Flask-Login and from quartlogin.

    python docs/make_parity_table.py

A test runs the same comparison: it fails if a difference is not explained here, if an explanation has lost its
difference, or if the page differs from the result.
"""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import blinker
import flask_login
from flask_login import config as their_config
from flask_login import signals as their_signals

import quartlogin
from quartlogin import config as our_config
from quartlogin.sessions import login_session as our_session

PAGE: Final = Path(__file__).with_name("flask-login.md")
BEGIN: Final = "<!-- Written by make_parity_table.py: -->\n"
END: Final = "<!-- The end of what it writes. -->\n"
MISSING: Final = object()

AWAITED: Final = "Awaited."
REMOVED: Final = "Not here: Flask-Login's main branch has removed it."

#: Every difference there is, and its reason. `Section: name`.
DIFFERENCES: Final = {
    "Public names: FlaskLoginClient": "Here `QuartLoginClient`, for requests and for websockets.",
    "Public names: __version__": "Here, too, but `from quartlogin import *` does not import it.",
    "Public names: confirm_login": AWAITED,
    "Public names: current_user": "`await current_user` always works; plain attributes once the user is loaded.",
    "Public names: fresh_login_required": "Also `@fresh_login_required(max_age=...)`. The view may be `async def` or "
    "`def`.",
    "Public names: login_required": "The view may be `async def` or `def`.",
    "Public names: login_user": AWAITED,
    "Public names: logout_user": AWAITED,
    "Constants: COOKIE_SAMESITE": "Other sites' pages send the remember cookie only along with links.",
    "Constants: AUTH_HEADER_NAME": f"{REMOVED} A `request_loader` reads the headers itself.",
    "Constants: SESSION_KEYS": "Three more: `_fresh_at`, `_login_id`, `_secret_hash`.",
    "LoginManager: LoginManager()": "More options, all keyword-only.",
    "LoginManager: header_loader()": f"{REMOVED} Use `request_loader`.",
    "LoginManager: needs_refresh()": AWAITED,
    "LoginManager: setup_app()": f"{REMOVED} Use `init_app`.",
    "LoginManager: unauthorized()": AWAITED,
    "Configuration keys: AUTH_HEADER_NAME": REMOVED,
    "Configuration keys: LOGIN_DISABLED": f"{REMOVED} Use `QuartLoginClient` in tests that need a signed-in user.",
    "Configuration keys: REMEMBER_COOKIE_SAMESITE": "Other sites' pages send the remember cookie only along with "
    "links.",
    "Signals: loaded-from-header": f"{REMOVED} Use `user_loaded_from_request`.",
}


@dataclass(frozen=True)
class Row:
    """One name, as in each of the two packages."""

    section: str
    name: str
    theirs: str
    ours: str

    @property
    def reason(self) -> str | None:
        """The reason for the difference, `None` if there is none."""
        return DIFFERENCES.get(f"{self.section}: {self.name}")

    @property
    def is_same(self) -> bool:
        """Whether the name is the same in both."""
        return self.theirs == self.ours


def rows() -> list[Row]:
    """Compare every name of Flask-Login's that an app may use."""
    return [
        *_public_names(),
        *_constants(),
        *_manager(),
        *_users(),
        *_configuration_keys(),
        *_session_keys(),
        *_signals(),
    ]


def additions() -> dict[str, list[str]]:
    """Return quartlogin's additional names, by section."""
    theirs = {*flask_login.__all__, *vars(their_config), "QuartLoginClient"}
    manager = {*_members(quartlogin.LoginManager()), "user"} - _members(flask_login.LoginManager()).keys()
    return {
        "Public names": sorted(set(quartlogin.__all__) - theirs),
        "LoginManager": sorted(manager),
        "Session keys": sorted(quartlogin.SESSION_KEYS - their_config.SESSION_KEYS),
    }


def unexplained() -> list[Row]:
    """Return the differences that have no reason."""
    return [row for row in rows() if not row.is_same and row.reason is None]


def tables() -> str:
    """Return the generated part of the page."""
    found = rows()
    counts = Counter(row.section for row in found)
    same = sum(row.is_same for row in found)
    parts = [
        f"Compared with Flask-Login {version('flask-login')}: **{len(found)} names, {same} the same, "
        f"{len(found) - same} with a difference** explained in the last column.\n",
        "| section | names | the same |\n|---|---|---|\n"
        + "".join(
            f"| {section} | {count} | {sum(row.is_same for row in found if row.section == section)} |\n"
            for section, count in counts.items()
        ),
    ]
    parts += [_table(section, [row for row in found if row.section == section]) for section in counts]
    parts += ["### Additions\n", "".join(f"- {what}: {_code(names)}\n" for what, names in additions().items())]
    return "\n".join(parts)


def page() -> str:
    """Return the current page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


def _table(section: str, found: Iterable[Row]) -> str:
    lines = [
        f"| `{row.name}` | {row.theirs} | {'the same' if row.theirs == row.ours else row.ours} |"
        f" {'' if row.is_same else row.reason or '?'} |".replace("|  |", "| |")
        for row in found
    ]
    return "\n".join([f"### {section}\n", "| name | Flask-Login | quartlogin | |", "|---|---|---|---|", *lines, ""])


def _public_names() -> list[Row]:
    return [
        _row("Public names", name, getattr(flask_login, name), getattr(quartlogin, name, MISSING))
        if name != "__version__"
        else Row("Public names", name, "in `__all__`", "outside of `__all__`")
        for name in sorted(flask_login.__all__)
        if not _is_constant(name)
    ]


def _constants() -> list[Row]:
    """List the module `config`, of which Flask-Login's `__all__` has only a part."""
    return [
        _row("Constants", name, getattr(their_config, name), getattr(quartlogin, name, MISSING))
        for name in sorted(vars(their_config))
        if _is_constant(name)
    ]


def _manager() -> list[Row]:
    theirs, ours = _members(flask_login.LoginManager()), _members(quartlogin.LoginManager())
    return [
        _row("LoginManager", "LoginManager()", flask_login.LoginManager.__init__, quartlogin.LoginManager.__init__),
        *[
            _row("LoginManager", name + "()" * inspect.isroutine(value), value, ours.get(name, MISSING))
            for name, value in sorted(theirs.items())
        ],
    ]


def _users() -> list[Row]:
    found = []
    for kind in ("UserMixin", "AnonymousUserMixin"):
        theirs, ours = getattr(flask_login, kind), getattr(quartlogin, kind)
        for name in sorted(name for name in dir(theirs) if not name.startswith("_")):
            there, here = inspect.getattr_static(theirs, name), inspect.getattr_static(ours, name, MISSING)
            found.append(_row("User classes", f"{kind}.{name}", there, here))
    return found


def _configuration_keys() -> list[Row]:
    """Find the keys that Flask-Login's source asks for; the defaults of those with one are constants."""
    source = "".join(inspect.getsource(module) for module in (flask_login.login_manager, flask_login.utils))
    keys = {*re.findall(r'config\.get\(\s*"([A-Z_]+)"', source), *re.findall(r'config\["([A-Z_]+)"\]', source)}
    return [
        Row("Configuration keys", key, _shown(_their_default(key, source)), _shown(_our_default(key)))
        for key in sorted(keys - {"SECRET_KEY"})
    ]


def _their_default(key: str, source: str) -> Any:
    match = re.search(rf'config\.get\(\s*"{key}"(?:,\s*([^)]+))?\s*\)', source)
    written = match[1] if match else None
    if key == "SESSION_PROTECTION":
        return flask_login.LoginManager().session_protection
    if key in {"LOGIN_DISABLED", "REMEMBER_COOKIE_REFRESH_EACH_REQUEST"}:
        return False  # asked for without a default, in an `if`
    if written is None:
        return None
    return getattr(their_config, written, written.strip('"'))


def _our_default(key: str) -> Any:
    if key == "SESSION_PROTECTION":
        return quartlogin.LoginManager().session_protection
    return our_config.DEFAULTS.get(key, MISSING)


def _session_keys() -> list[Row]:
    return [
        Row("Session keys", key, "yes", "yes" if key in our_session.SESSION_KEYS else "no")
        for key in sorted(their_config.SESSION_KEYS)
    ]


def _signals() -> list[Row]:
    return [
        Row("Signals", signal.name, f"`{name.lstrip('_')}`", _our_signal(signal.name))
        for name, signal in sorted(vars(their_signals).items())
        if isinstance(signal, blinker.NamedSignal)
    ]


def _our_signal(sent_as: str) -> str:
    here = {name: getattr(quartlogin, name) for name in quartlogin.__all__}
    names = [name for name, value in here.items() if getattr(value, "name", None) == sent_as and _is_signal(value)]
    return f"`{names[0]}`" if names else "no"


def _is_signal(value: object) -> bool:
    return type(value) is blinker.NamedSignal


def _row(section: str, name: str, theirs: Any, ours: Any) -> Row:
    return Row(section, name, _shown(theirs), _shown(ours))


def _members(manager: Any) -> dict[str, Any]:
    """Return the attributes and methods of a manager that do not begin with an underscore, bound.

    All but `LoginManager.user`, which needs a request.
    """
    names = {name for name in (*dir(manager), *vars(manager)) if not name.startswith("_")}
    return {name: getattr(manager, name) for name in names - {"user"}}


def _shown(value: Any) -> str:
    """Show a value in the same words on every version of Python."""
    word = _word_for(value)
    if word is not None:
        return word
    if callable(value):
        return f"`{'async ' if inspect.iscoroutinefunction(value) else ''}{_signature(value)}`{_guarding(value)}"
    if isinstance(value, set | frozenset):
        return _code(sorted(value))
    return f"`{value!r}`".replace("datetime.", "")


def _word_for(value: Any) -> str | None:
    kinds = {"LocalProxy": "a proxy", "CurrentUser": "a proxy, awaited", "NamedSignal": "a signal"}
    if value is MISSING:
        return "no"
    if inspect.isdatadescriptor(value) or inspect.ismethoddescriptor(value):  # ours gives way to a subclass's field
        return "a property"
    if type(value) is type:
        return f"class `{value.__name__}`"
    return kinds.get(type(value).__name__)


def _guarding(function: Callable[..., Any]) -> str:
    is_guard = function.__name__.endswith("login_required") and inspect.iscoroutinefunction(function(lambda: None))
    return " makes a coroutine function" if is_guard else ""


def _signature(function: Callable[..., Any]) -> str:
    """Show names, kinds and defaults; what Flask-Login does not annotate cannot be compared."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(parameters)).replace("datetime.", "")


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_constant(name: str) -> bool:
    return name.isupper() and not name.startswith("_")


if __name__ == "__main__":
    for row in unexplained():
        print(f"Not explained: {row}", file=sys.stderr)
    PAGE.write_text(page(), encoding="utf-8")
