"""The registration form."""

from collections.abc import Iterable
from typing import Any

from wtforms import PasswordField, StringField, ValidationError

from ... import usernames
from ...context import current_accounts
from ...pages.forms import CSRFForm
from ..passwords.forms import PasswordPolicyValidator


class RegistrationForm(CSRFForm):
    """Create an account."""

    username = StringField("Username", description=usernames.RULE)
    password = PasswordField("Password")

    def __init__(self, *args: Any, password_min_length: int, password_denylist: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        username, validate = self.username.data or "", current_accounts().directory.validate
        valid_usernames = () if validate(username) else (username,)
        policy = PasswordPolicyValidator(password_min_length, *password_denylist, *valid_usernames)
        self.password.validators = [policy]
        self.password.description = policy.rule

    def validate_username(self, field: Any) -> None:
        """Reject an invalid username."""
        if fault := current_accounts().directory.validate(field.data or ""):
            raise ValidationError(fault)
