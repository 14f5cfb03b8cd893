"""The form that deletes an account."""

from wtforms import PasswordField

from ...pages.forms import CSRFForm


class DeletionForm(CSRFForm):
    """Confirm the deletion with the password."""

    password = PasswordField("Password")
