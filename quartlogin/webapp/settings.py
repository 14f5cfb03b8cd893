"""The settings of the application: each once, with its type, unit, default and meaning."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Final

from quartlogin import ConfigurationError, secret_key_weakness
from quartlogin.accounts import LONGEST_PASSWORD

from .middleware.request_validation import is_host

PREFIX: Final = "QUARTLOGIN_"
_LOWEST_PASSWORD_MIN_LENGTH: Final = 8  # NIST SP 800-63B-4, 3.1.1.2
_MAX_SITE_NAME: Final = 64
_MOST_BARRED_WORDS: Final = 100
_LONGEST_LOGIN: Final = 30 * 24 * 60  # minutes; NIST SP 800-63B-4, 2.1.3
_SHORTEST_LOGIN: Final = 5  # minutes; when a login was seen last is known to a minute
_LONGEST_RETENTION: Final = 3650  # days
_MOST_PROXIES: Final = 100
_REPORT_URL: Final = re.compile(r"(https?://|/)[\w.~:/?&=%@+-]{1,500}", re.ASCII)  # it stands in a header

#: What a cookie may be called. `__Host-` or `__Secure-` is put in front where browsers take it.
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_COOKIE_NAMES: Final = ("session_cookie_name", "remember_cookie_name", "device_cookie_name")
_COOKIE_PATH: Final = re.compile(r"/[\w./~-]{0,255}", re.ASCII)

#: How much of a wrong value an error repeats.
_MAX_SHOWN: Final = 80  # characters
#: How many settings an error names that resemble none.
_NEAREST: Final = 3


class SettingsError(ConfigurationError):
    """A setting is unknown or has a value that cannot be; the message is one sentence for the operator."""


def _setting(default: Any, *, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


def _number(default: int, *, of: str, bounds: tuple[int, int], meaning: str) -> Any:
    """Declare a number: its check, its unit and its row in the README come from these bounds, both included."""
    unit = f"{of}, {bounds[0]} to {bounds[1]}"
    return field(default=default, metadata={"unit": unit, "meaning": meaning, "bounds": bounds})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can choose. Upper case, these are the names of keywords and, prefixed, of variables."""

    database: str = _setting(
        "quartlogin.sqlite3",
        unit="file path, or `postgresql://` address",
        meaning="The SQLite database, made if it does not exist; or the PostgreSQL server.",
    )
    secret_key: str | None = _setting(
        None,
        unit="at least 32 characters, 10 of them different",
        meaning="Signs the cookies. `serve` on a loopback address makes one if there is none.",
    )
    secret_key_fallbacks: tuple[str, ...] = _setting(
        (), unit="list of keys", meaning="Former secret keys: still accepted, no longer used for signing."
    )
    site_name: str = _setting("Quartlogin", unit="1 to 64 characters", meaning="The name shown on every page.")
    registration: bool = _setting(
        True, unit="true or false", meaning="Whether visitors can make an account for themselves."
    )
    password_min_length: int = _number(
        15,
        of="characters",
        bounds=(_LOWEST_PASSWORD_MIN_LENGTH, LONGEST_PASSWORD),
        meaning="The shortest password that a new account may have.",
    )
    password_denylist: tuple[str, ...] = _setting(
        (),
        unit="list of words",
        meaning="What no password may be made of, besides the site's name and the username: your products, places.",
    )
    login_idle_timeout: int = _number(
        14 * 24 * 60,
        of="minutes",
        bounds=(_SHORTEST_LOGIN, _LONGEST_LOGIN),
        meaning="How long a sign-in lasts that nobody uses. (API tokens have only an end.)",
    )
    login_lifetime: int = _number(
        30 * 24 * 60,
        of="minutes",
        bounds=(_SHORTEST_LOGIN, _LONGEST_LOGIN),
        meaning="How long a sign-in lasts at the most, remembered or not, until the password is asked for again.",
    )
    event_retention: int = _number(
        90, of="days", bounds=(1, _LONGEST_RETENTION), meaning="How long the events of an account are kept and shown."
    )
    login_rate_limit_per_account: int = _number(
        10,
        of="attempts",
        bounds=(4, 50),
        meaning="How many sign-ins of an account may fail within 15 minutes; from the half on, each has to wait.",
    )
    login_rate_limit_per_address: int = _number(
        50,
        of="attempts",
        bounds=(10, 500),
        meaning="How many sign-ins from an address may fail within 15 minutes, and how many may register.",
    )
    max_logins_per_user: int = _number(
        50,
        of="sign-ins",
        bounds=(1, 1000),
        meaning="How many sign-ins an account has at once; a new one ends the idlest.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        unit="list of names",
        meaning="What `Host` may say, without the port; everything else is answered 400. Empty: anything.",
    )
    csp_report_url: str | None = _setting(
        None,
        unit="address",
        meaning="Where browsers report what the Content-Security-Policy has stopped. None: nowhere.",
    )
    session_cookie_name: str = _setting(
        "quartlogin",
        unit="1 to 64 letters, digits, `.`, `_`, `-`",
        meaning="The session cookie. Over https `__Host-` stands in front, or `__Secure-` with a path of its own.",
    )
    remember_cookie_name: str = _setting(
        "quartlogin_remember", unit="the same", meaning='The cookie of "Keep me signed in", with the same in front.'
    )
    device_cookie_name: str = _setting(
        "quartlogin_browser",
        unit="the same",
        meaning="The cookie of a browser that has signed in before, with the same in front.",
    )
    cookie_path: str = _setting(
        "/", unit="path", meaning="Below which pages browsers send these cookies: where the application stands."
    )
    trusted_proxies: int = _number(
        0,
        of="proxies",
        bounds=(0, _MOST_PROXIES),
        meaning="How many proxies in front are believed about `X-Forwarded-For` and `-Proto`. "
        "If not 0, cookies are always `Secure`.",
    )

    def __post_init__(self) -> None:
        self._check_texts()
        self._check_numbers()
        if self.csp_report_url is not None and not _REPORT_URL.fullmatch(self.csp_report_url):
            raise SettingsError("CSP_REPORT_URL has to be an address such as https://reports.example.org/csp.")
        self._check_cookies()
        for host in self.allowed_hosts:
            if not is_host(host):
                raise SettingsError(
                    f"ALLOWED_HOSTS has to be a list of names such as example.org, not {_quoted(host)}."
                )

    def _check_numbers(self) -> None:
        for setting in fields(self):
            if "bounds" in setting.metadata:
                lowest, highest = setting.metadata["bounds"]
                if not lowest <= getattr(self, setting.name) <= highest:
                    raise SettingsError(f"{setting.name.upper()} has to be a number from {lowest} to {highest}.")

    def _check_texts(self) -> None:
        for text in (
            self.database,
            self.site_name,
            self.secret_key or "",
            *self.secret_key_fallbacks,
            *self.password_denylist,
        ):
            if not _is_utf8(text):
                raise SettingsError(
                    "DATABASE, SITE_NAME, PASSWORD_DENYLIST and the secret keys have to be UTF-8 text, and one is not."
                )
        if not self.database or self.database.startswith((":", "file:")):
            raise SettingsError("DATABASE has to be the path of a file, or an address such as postgresql://host/name.")
        for key in (*([] if self.secret_key is None else [self.secret_key]), *self.secret_key_fallbacks):
            if complaint := secret_key_weakness(key):
                raise SettingsError(f"{'SECRET_KEY' if key == self.secret_key else 'SECRET_KEY_FALLBACKS'} {complaint}")
        if not 1 <= len(self.site_name) <= _MAX_SITE_NAME:
            raise SettingsError(f"SITE_NAME has to have 1 to {_MAX_SITE_NAME} characters.")
        if len(self.password_denylist) > _MOST_BARRED_WORDS or any(
            len(word) > _MAX_SITE_NAME for word in self.password_denylist
        ):
            raise SettingsError(
                f"PASSWORD_DENYLIST has to be at most {_MOST_BARRED_WORDS} words of at most {_MAX_SITE_NAME} characters."
            )

    def _check_cookies(self) -> None:
        names = [getattr(self, name) for name in _COOKIE_NAMES]
        for setting, name in zip(_COOKIE_NAMES, names, strict=True):
            if not _COOKIE_NAME.fullmatch(name):
                raise SettingsError(
                    f"{setting.upper()} has to be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or a "
                    "digit: what browsers hold a name to is put in front by itself."
                )
        if len({*names}) < len(names):
            raise SettingsError("SESSION_COOKIE_NAME, REMEMBER_COOKIE_NAME and DEVICE_COOKIE_NAME have to differ.")
        if not _COOKIE_PATH.fullmatch(self.cookie_path):
            raise SettingsError(f"COOKIE_PATH has to be a path such as /accounts, not {_quoted(self.cookie_path)}.")


def read_settings(keywords: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from keywords, which win, and the environment.

    Args:
        keywords: Such as `{"DATABASE": "people.sqlite3"}`; values of the setting's own type.
        environment: Such as `{"QUARTLOGIN_DATABASE": "people.sqlite3"}`; `os.environ` if `None`.

    Raises:
        SettingsError: A name is unknown, or a value has the wrong type or is out of bounds.
    """
    known = {setting.name.upper(): setting for setting in fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in (os.environ if environment is None else environment).items():
        if variable.startswith(PREFIX):
            setting = _known(variable, known, PREFIX)
            values[setting.name] = _parse(variable, text, setting)
    for keyword, value in (keywords or {}).items():
        setting = _known(keyword, known, "")
        values[setting.name] = _check_type(keyword, value, setting)
    return Settings(**values)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _known(name: str, known: Mapping[str, Field[Any]], prefix: str) -> Field[Any]:
    setting = known.get(name.removeprefix(prefix))
    if setting is not None:
        return setting
    wanted = name.removeprefix(prefix).upper()
    close = get_close_matches(wanted, known, n=1) or get_close_matches(wanted, known, n=_NEAREST, cutoff=0)
    hint = " or ".join(prefix + each for each in close)
    raise SettingsError(f"There is no setting {_cut(name)}: did you mean {hint}?")


def _quoted(text: str) -> str:
    return repr(_cut(text))


def _cut(text: str) -> str:
    """Shorten what an error repeats: a value may be a megabyte, or a secret that was put into the wrong place."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _parse(variable: str, text: str, setting: Field[Any]) -> Any:
    """Read a setting's value from the text of an environment variable."""
    kind: type = type(setting.default)
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise SettingsError(f"{variable} has to be true or false, not {_quoted(text)}.")
        return text.lower() == "true"
    if kind is int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 -- enough for every one
            raise SettingsError(f"{variable} has to be a whole number, not {_quoted(text)}.")
        return int(text)
    if kind is tuple:
        try:
            return _check_type(variable, json.loads(text), setting)
        except (ValueError, RecursionError):
            raise SettingsError(f"""{variable} has to be a JSON list, such as '["one", "two"]'.""") from None
    return text


def _check_type(name: str, value: Any, setting: Field[Any]) -> Any:
    """Take a value that is of the setting's type already."""
    kind: type = type(setting.default)
    if kind is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{name} has to be a list of texts.")
        return tuple(value)
    if setting.default is None:
        kind = str
        if value is None:
            return None
    if type(value) is not kind:
        wanted = {str: "text", int: "a whole number", bool: "True or False"}[kind]
        raise SettingsError(f"{name} has to be {wanted}, not {type(value).__name__}.")
    return value
