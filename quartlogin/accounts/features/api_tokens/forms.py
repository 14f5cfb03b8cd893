"""The forms that create and revoke API tokens."""

from typing import Any, Final

from wtforms import IntegerField, StringField, ValidationError

from ...pages.forms import CSRFForm, FormPage

MAX_TOKEN_DAYS: Final = 366
MAX_TOKEN_NAME: Final = 64  # characters


class TokenForm(CSRFForm):
    """Create an API token."""

    name = StringField("Name", description="What it is for, so that you recognize it in the list.")
    days = IntegerField("Days", description=f"How long it is valid: 1 to {MAX_TOKEN_DAYS}.", default=90)

    def validate_name(self, field: Any) -> None:
        """Reject a name that does not fit in a line."""
        field.data = (field.data or "").strip()
        if not 1 <= len(field.data) <= MAX_TOKEN_NAME:
            raise ValidationError(f"Enter a name of 1 to {MAX_TOKEN_NAME} characters.")
        if not field.data.isprintable():
            raise ValidationError("The name contains a character that cannot be displayed.")

    def validate_days(self, field: Any) -> None:
        """Reject a number of days that is missing or out of bounds."""
        if field.data is None or not 1 <= field.data <= MAX_TOKEN_DAYS:
            raise ValidationError(f"Enter a number of days from 1 to {MAX_TOKEN_DAYS}.")


class TokenRevocationForm(CSRFForm):
    """Revoke an API token; no field except the CSRF token."""


#: The fields that the templates must have.
FORM_PAGES: Final = (FormPage(endpoint="create_token", fields=("name", "days"), page="account"),)
