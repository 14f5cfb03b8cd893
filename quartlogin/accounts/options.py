"""The options of an app's accounts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, Self

from wtforms import Form

from quartlogin import ConfigurationError

from .feature import Feature, check_duration

#: The options that belong to no feature.
OWN_OPTIONS: Final = (
    "audience",
    "site_name",
    "home",
    "page_after_login",
    "page_after_logout",
    "page_after_registration",
    "event_retention",
    "https_only",
    "device_cookie_name",
    "cookie_path",
)
_MAX_SITE_NAME: Final = 64
_MAX_AUDIENCE: Final = 64
_RETENTION: Final = (timedelta(days=1), timedelta(days=3650))


@dataclass(frozen=True, kw_only=True)
class AccountsOptions:
    """The options of `Accounts`: its own, and those of its features."""

    #: The name under which apps share their logins; `None`: this app's logins are its own.
    audience: str | None = None
    site_name: str = "Quartlogin"
    #: The endpoint, or the path, of the site's home page.
    home: str | None = None
    #: The pages to go to when no page was requested; `None`: the home page, or without one the account page and, after
    #: signing out, the login page.
    page_after_login: str | None = None
    page_after_logout: str | None = None
    page_after_registration: str | None = None
    #: Whether the pages of these features exist.
    registration: bool = False
    #: A WTForms class with the app's own fields of the registration form.
    registration_form: type[Form] | None = None
    api_tokens: bool = False
    deletion: bool = False
    #: Code points.
    password_min_length: int = 15
    #: Extra words that a password may not consist of. The site name and the username are always included.
    password_denylist: tuple[str, ...] = ()
    #: The schemes and costs of hashes that the app keeps.
    old_password_schemes: tuple[Any, ...] = ()
    #: Returns the text that those hashes were computed from, if that is not the password.
    old_password_pepper: Callable[[str], str] | None = None
    login_idle_timeout: timedelta = timedelta(days=14)
    login_lifetime: timedelta = timedelta(days=30)
    max_logins_per_user: int = 50
    #: Failed sign-ins allowed within 15 minutes.
    login_rate_limit_per_account: int = 10
    login_rate_limit_per_address: int = 50
    #: How long the events of an account are kept.
    event_retention: timedelta = timedelta(days=90)
    #: Whether the app is reached over https only, so that cookies are `Secure` whatever a request says.
    https_only: bool = False
    device_cookie_name: str = "quartlogin_browser"
    cookie_path: str = "/"

    @classmethod
    def of(cls, features: Iterable[Feature], **options: Any) -> Self:
        """Collect the options of some features with others.

        Raises:
            ConfigurationError: One is unknown, or has a value that cannot be.
        """
        for feature in features:
            options |= feature.options()
        names = [one.name for one in fields(cls)]
        if unknown := [name for name in options if name not in names]:
            near = get_close_matches(unknown[0], names, 1)
            raise ConfigurationError(
                f"Accounts has no option {unknown[0]!r:.80}."
                + (f" Did you mean {near[0]!r}?" if near else f" Its options: {', '.join(OWN_OPTIONS)}.")
            )
        return cls(**options)

    def __post_init__(self) -> None:
        if not isinstance(self.site_name, str) or not 1 <= len(self.site_name) <= _MAX_SITE_NAME:
            raise ConfigurationError(f"Accounts(site_name=...): use a text of 1 to {_MAX_SITE_NAME} characters.")
        if self.audience is not None and not _is_audience(self.audience):
            raise ConfigurationError(
                f"Accounts(audience=...): use a text of 1 to {_MAX_AUDIENCE} printable characters, the same in each "
                "app that shares the logins."
            )
        check_duration("Accounts", "event_retention", self.event_retention, _RETENTION)

    @property
    def context_words(self) -> tuple[str, ...]:
        """Words that an attacker tries first at this site (NIST SP 800-63B-4, 3.1.1.2)."""
        return (self.site_name, *self.password_denylist)


def _is_audience(text: Any) -> bool:
    if not isinstance(text, str) or not 1 <= len(text) <= _MAX_AUDIENCE:
        return False
    return text.isprintable() and text == text.strip()
