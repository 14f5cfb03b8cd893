"""The forms that end logins; they have no field except the CSRF token."""

from ...pages.forms import CSRFForm


class LogoutForm(CSRFForm):
    """Sign out."""


class RevocationForm(CSRFForm):
    """End a login."""
