"""The settings of the application: each has its type, unit, bounds, default and meaning here."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Final

from quartlogin import ConfigurationError, secret_key_weakness
from quartlogin.accounts import MAX_PASSWORD_LENGTH

from .middleware import is_host

PREFIX: Final = "QUARTLOGIN_"
#: The environment variable of `--app`: no setting, since an app of one's own has none of these.
APP_VARIABLE: Final = f"{PREFIX}APP"
_MIN_PASSWORD_MIN_LENGTH: Final = 8  # NIST SP 800-63B-4, 3.1.1.2
_MAX_SITE_NAME: Final = 64
_MAX_DENYLIST: Final = 100
_MAX_LOGIN: Final = 30 * 24 * 60  # minutes; NIST SP 800-63B-4, 2.1.3
_MIN_LOGIN: Final = 5  # minutes; last-seen times are accurate to a minute
_MAX_RETENTION: Final = 3650  # days
_MAX_PROXIES: Final = 100
_REPORT_URL: Final = re.compile(r"(https?://|/)[\w.~:/?&=%@+-]{1,500}", re.ASCII)  # it is written to a header
_LISTENING: Final = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")

#: Cookie names. `__Host-` or `__Secure-` is prepended where browsers accept it.
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_COOKIE_NAMES: Final = ("session_cookie_name", "remember_cookie_name", "device_cookie_name")
_COOKIE_PATH: Final = re.compile(r"/[\w./~-]{0,255}", re.ASCII)

#: The length to which an error message cuts a wrong value.
_MAX_SHOWN: Final = 80  # characters
#: How many settings an error suggests if none is similar.
_MAX_SUGGESTIONS: Final = 3


class SettingsError(ConfigurationError):
    """A setting is unknown or has an invalid value; the message is one sentence for the operator."""


def _setting(default: Any, *, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


def _number(default: int, *, of: str, bounds: tuple[int, int], meaning: str) -> Any:
    """Declare a number: its check, its unit and its row in the docs come from these bounds, both inclusive."""
    unit = f"{of}, {bounds[0]} to {bounds[1]}"
    return field(default=default, metadata={"unit": unit, "meaning": meaning, "bounds": bounds})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The operator's settings. Upper case, these are the names of keywords and, prefixed, of environment variables."""

    database: str = _setting(
        "quartlogin.sqlite3",
        unit="file path, or `postgresql://` address",
        meaning="The SQLite database, created if it does not exist; or the PostgreSQL server.",
    )
    secret_key: str | None = _setting(
        None,
        unit="at least 32 characters, 10 of them different",
        meaning="Signs the cookies. `serve` on a loopback address creates one if there is none.",
    )
    secret_key_fallbacks: tuple[str, ...] = _setting(
        (), unit="list of keys", meaning="Former secret keys: still accepted, no longer used for signing."
    )
    site_name: str = _setting("Quartlogin", unit="1 to 64 characters", meaning="The name shown on every page.")
    registration: bool = _setting(True, unit="true or false", meaning="Whether visitors can create an account.")
    password_min_length: int = _number(
        15,
        of="characters",
        bounds=(_MIN_PASSWORD_MIN_LENGTH, MAX_PASSWORD_LENGTH),
        meaning="The minimum length of new passwords.",
    )
    password_denylist: tuple[str, ...] = _setting(
        (),
        unit="list of words",
        meaning="Extra words that a password may not consist of, such as product names. "
        "The site name and the username are always included.",
    )
    login_idle_timeout: int = _number(
        14 * 24 * 60,
        of="minutes",
        bounds=(_MIN_LOGIN, _MAX_LOGIN),
        meaning="How long an unused sign-in stays valid. (API tokens have a fixed expiry.)",
    )
    login_lifetime: int = _number(
        30 * 24 * 60,
        of="minutes",
        bounds=(_MIN_LOGIN, _MAX_LOGIN),
        meaning="How long a sign-in stays valid at most, remembered or not.",
    )
    event_retention: int = _number(
        90, of="days", bounds=(1, _MAX_RETENTION), meaning="How long the events of an account are kept and shown."
    )
    login_rate_limit_per_account: int = _number(
        10,
        of="attempts",
        bounds=(4, 50),
        meaning="Failed sign-ins allowed per account in 15 minutes. After half of them, attempts are delayed.",
    )
    login_rate_limit_per_address: int = _number(
        50,
        of="attempts",
        bounds=(10, 500),
        meaning="Failed sign-ins, and registrations, allowed per address in 15 minutes.",
    )
    max_logins_per_user: int = _number(
        50,
        of="sign-ins",
        bounds=(1, 1000),
        meaning="Concurrent sign-ins of an account. A new one ends the least recently used.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        unit="list of names",
        meaning="The accepted values of `Host`, without the port; others are answered 400. Empty: all.",
    )
    csp_report_url: str | None = _setting(
        None,
        unit="address",
        meaning="Where browsers report violations of the Content-Security-Policy. Not set: nowhere.",
    )
    session_cookie_name: str = _setting(
        "quartlogin",
        unit="1 to 64 letters, digits, `.`, `_`, `-`",
        meaning="The session cookie. Over https it is prefixed with `__Host-`, or `__Secure-` if `COOKIE_PATH` is set.",
    )
    remember_cookie_name: str = _setting(
        "quartlogin_remember", unit="the same", meaning='The cookie of "Keep me signed in", with the same prefix.'
    )
    device_cookie_name: str = _setting(
        "quartlogin_browser",
        unit="the same",
        meaning="The cookie of a browser that has signed in before, with the same prefix.",
    )
    cookie_path: str = _setting(
        "/", unit="path", meaning="The path of these cookies: where the application is mounted."
    )
    trusted_proxies: int = _number(
        0,
        of="proxies",
        bounds=(0, _MAX_PROXIES),
        meaning="The number of trusted proxies in front, whose `X-Forwarded-For` and `-Proto` are used. "
        "If not 0, cookies are always `Secure`.",
    )
    metrics_address: str | None = _setting(
        None,
        unit="address and port",
        meaning="Where Prometheus reads the metrics, such as `127.0.0.1:9100`: each further process has the next port. "
        "Not set: nowhere.",
    )

    def __post_init__(self) -> None:
        self._check_texts()
        self._check_numbers()
        if self.csp_report_url is not None and not _REPORT_URL.fullmatch(self.csp_report_url):
            raise SettingsError("CSP_REPORT_URL must be a URL such as https://reports.example.org/csp.")
        if self.metrics_address is not None and not _LISTENING.fullmatch(self.metrics_address):
            raise SettingsError(
                f"METRICS_ADDRESS must be an address such as 127.0.0.1:9100, not {_quoted(self.metrics_address)}."
            )
        self._check_cookies()
        for host in self.allowed_hosts:
            if not is_host(host):
                raise SettingsError(f"ALLOWED_HOSTS must be a list of names such as example.org, not {_quoted(host)}.")

    def _check_numbers(self) -> None:
        for setting in fields(self):
            if "bounds" in setting.metadata:
                lowest, highest = setting.metadata["bounds"]
                if not lowest <= getattr(self, setting.name) <= highest:
                    raise SettingsError(f"{setting.name.upper()} must be a number from {lowest} to {highest}.")

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
                    "DATABASE, SITE_NAME, PASSWORD_DENYLIST and the secret keys must be UTF-8 text, and one is not."
                )
        if not self.database or self.database.startswith((":", "file:")):
            raise SettingsError("DATABASE must be the path of a file, or an address such as postgresql://host/name.")
        for key in (*([] if self.secret_key is None else [self.secret_key]), *self.secret_key_fallbacks):
            if weakness := secret_key_weakness(key):
                raise SettingsError(f"{'SECRET_KEY' if key == self.secret_key else 'SECRET_KEY_FALLBACKS'} {weakness}")
        if not 1 <= len(self.site_name) <= _MAX_SITE_NAME:
            raise SettingsError(f"SITE_NAME must have 1 to {_MAX_SITE_NAME} characters.")
        if len(self.password_denylist) > _MAX_DENYLIST or any(
            len(word) > _MAX_SITE_NAME for word in self.password_denylist
        ):
            raise SettingsError(
                f"PASSWORD_DENYLIST must be at most {_MAX_DENYLIST} words of at most {_MAX_SITE_NAME} characters."
            )

    def _check_cookies(self) -> None:
        names = [getattr(self, name) for name in _COOKIE_NAMES]
        for setting, name in zip(_COOKIE_NAMES, names, strict=True):
            if not _COOKIE_NAME.fullmatch(name):
                raise SettingsError(
                    f"{setting.upper()} must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or "
                    "digit. `__Host-` or `__Secure-` is added automatically."
                )
        if len({*names}) < len(names):
            raise SettingsError("SESSION_COOKIE_NAME, REMEMBER_COOKIE_NAME and DEVICE_COOKIE_NAME must differ.")
        if not _COOKIE_PATH.fullmatch(self.cookie_path):
            raise SettingsError(f"COOKIE_PATH must be a path such as /accounts, not {_quoted(self.cookie_path)}.")


def read_settings(keywords: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from keywords, which take precedence, and the environment.

    Args:
        keywords: Such as `{"DATABASE": "people.sqlite3"}`; values of the setting's own type.
        environment: Such as `{"QUARTLOGIN_DATABASE": "people.sqlite3"}`; `os.environ` if `None`.

    Raises:
        SettingsError: A name is unknown, or a value has the wrong type or is out of bounds.
    """
    known = {setting.name.upper(): setting for setting in fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in (os.environ if environment is None else environment).items():
        if variable.startswith(PREFIX) and variable != APP_VARIABLE:
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
    close = get_close_matches(wanted, known, n=1) or get_close_matches(wanted, known, n=_MAX_SUGGESTIONS, cutoff=0)
    hint = " or ".join(prefix + each for each in close)
    raise SettingsError(f"There is no setting {_cut(name)}. Did you mean {hint}?")


def _quoted(text: str) -> str:
    return repr(_cut(text))


def _cut(text: str) -> str:
    """Cut what an error repeats: a value may be a megabyte, or a secret in the wrong place."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _parse(variable: str, text: str, setting: Field[Any]) -> Any:
    """Parse a setting's value from an environment variable."""
    kind: type = type(setting.default)
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise SettingsError(f"{variable} must be true or false, not {_quoted(text)}.")
        return text.lower() == "true"
    if kind is int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 -- enough for all of them
            raise SettingsError(f"{variable} must be a whole number, not {_quoted(text)}.")
        return int(text)
    if kind is tuple:
        try:
            return _check_type(variable, json.loads(text), setting)
        except (ValueError, RecursionError):
            raise SettingsError(f"""{variable} must be a JSON list, such as '["one", "two"]'.""") from None
    return text


def _check_type(name: str, value: Any, setting: Field[Any]) -> Any:
    """Return a value if it has the setting's type."""
    kind: type = type(setting.default)
    if kind is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{name} must be a list of strings.")
        return tuple(value)
    if setting.default is None:
        kind = str
        if value is None:
            return None
    if type(value) is not kind:
        wanted = {str: "a string", int: "a whole number", bool: "True or False"}[kind]
        raise SettingsError(f"{name} must be {wanted}, not {type(value).__name__}.")
    return value
