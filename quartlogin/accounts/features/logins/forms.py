"""The forms that end logins; they have no field except the CSRF token."""

from typing import Final

from ...pages.forms import CSRFForm, FormPage


class LogoutForm(CSRFForm):
    """Sign out."""


class RevocationForm(CSRFForm):
    """End a login."""


#: The fields that the templates must have.
FORM_PAGES: Final = (
    FormPage(endpoint="logout"),
    FormPage(endpoint="revoke_login", page="account"),
)
