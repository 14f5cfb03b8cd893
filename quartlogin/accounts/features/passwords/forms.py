"""The forms that ask for a password."""

from collections.abc import Iterable
from typing import Any, Final

from wtforms import BooleanField, HiddenField, PasswordField, StringField, ValidationError

from ...context import current_accounts
from ...pages.forms import CSRFForm, FormPage
from .policy import validate_password


class LoginForm(CSRFForm):
    """Sign in. Validates nothing, so as not to reveal which field is wrong."""

    username = StringField()
    password = PasswordField("Password")
    remember = BooleanField("Keep me signed in on this device")
    next = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_field(self)


def name_field(form: Any) -> None:
    """Label a form's field of the name as the app's users call it."""
    form.username.label.text = current_accounts().directory.name_label


class PasswordPolicyValidator:
    """Validates a new password: long enough, and not one that is guessed first.

    Args:
        min_length: Code points.
        context: Words that an attacker tries first at this site, such as its name and the username.
    """

    def __init__(self, min_length: int, *context: str) -> None:
        self._min_length = min_length
        self._context = context
        self.rule = f"Use at least {min_length} characters of any kind. A sentence is easy to remember."

    def __call__(self, _: Any, field: Any) -> None:
        """Reject a password that the policy does not allow (NIST SP 800-63B-4, 3.1.1.2)."""
        if fault := validate_password(field.data or "", self._min_length, self._context):
            raise ValidationError(fault)


class PasswordForm(CSRFForm):
    """Change the password."""

    current_password = PasswordField("Current password")
    new_password = PasswordField("New password")

    def __init__(
        self, *args: Any, password_min_length: int, password_denylist: Iterable[str], username: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        policy = PasswordPolicyValidator(password_min_length, *password_denylist, username)
        self.new_password.validators = [policy]
        self.new_password.description = policy.rule

    def validate_current_password(self, field: Any) -> None:
        """Reject a form without the current password."""
        if not field.data:
            raise ValidationError("Enter your current password.")


class ReauthenticationForm(CSRFForm):
    """Confirm the user's identity with the password."""

    password = PasswordField("Password")
    next = HiddenField()


#: The fields that the templates must have.
FORM_PAGES: Final = (
    FormPage(endpoint="login", fields=("username", "password", "next"), is_for_visitors=True),
    FormPage(endpoint="reauthenticate", fields=("password", "next")),
    FormPage(endpoint="change_password", fields=("current_password", "new_password")),
)
