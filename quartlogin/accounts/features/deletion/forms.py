"""The form that deletes an account."""

from typing import Final

from wtforms import PasswordField

from ...pages.forms import CSRFForm, FormPage


class DeletionForm(CSRFForm):
    """Confirm the deletion with the password."""

    password = PasswordField("Password")


#: The fields that the templates must have.
FORM_PAGES: Final = (FormPage(endpoint="delete", fields=("password",)),)
