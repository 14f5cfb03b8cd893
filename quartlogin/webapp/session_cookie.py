"""The application's session cookie, also where the application is not all that there is on a host."""

from typing import Final

from quart import Quart

from quartlogin import SignedSessionInterface

_SECURE_PREFIX: Final = "__Secure-"


class ApplicationSessionInterface(SignedSessionInterface):
    """Puts `__Secure-` in front of the cookie's name where its path keeps it from having `__Host-`.

    So no plain connection can set it (RFC 6265bis, 4.1.3). The remember cookie follows.
    """

    def get_cookie_name(self, app: Quart) -> str:
        """Return the cookie's name with what browsers hold it to."""
        name = super().get_cookie_name(app)
        is_hosts = self.get_cookie_path(app) == "/"
        return name if is_hosts or not self.get_cookie_secure(app) else _SECURE_PREFIX + name
