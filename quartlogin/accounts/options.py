"""The options of an app's accounts."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class AccountsOptions:
    """The options of `Accounts`; the stand-alone application creates them from its settings."""

    site_name: str = "Quartlogin"
    #: Whether visitors can create an account.
    registration: bool = True
    #: Code points.
    password_min_length: int = 15
    #: Extra words that a password may not consist of. The site name and the username are always included.
    password_denylist: tuple[str, ...] = ()
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
    #: The endpoint to go to when no page was requested.
    landing_endpoint: str = "home"
    device_cookie_name: str = "quartlogin_browser"
    cookie_path: str = "/"

    @property
    def context_words(self) -> tuple[str, ...]:
        """Words that an attacker tries first at this site (NIST SP 800-63B-4, 3.1.1.2)."""
        return (self.site_name, *self.password_denylist)
