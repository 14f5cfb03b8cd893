"""The forms: which fields they have, what may be in them, and how they are read from a request."""

from collections.abc import Iterable
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from quart import abort, request
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, HiddenField, IntegerField, PasswordField, StringField, ValidationError

from .. import usernames
from ..accounts import services
from ..features.passwords.policy import validate_password
from ..security.csrf import FIELD_NAME, SessionBoundCSRF

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 20

MOST_TOKEN_DAYS: Final = 366
LONGEST_TOKEN_NAME: Final = 64  # characters
_REFUSED: Final = (
    "This form was open for too long, or it was opened before you signed in or out. Nothing was changed. "
    "Go back, reload the page and send it again."
)


class CSRFForm(Form):  # type: ignore[misc]  # WTForms ships no types
    """A form that only this visitor's own page can send."""

    class Meta:
        """How WTForms makes the token's field."""

        csrf = True
        csrf_class = SessionBoundCSRF
        csrf_field_name = FIELD_NAME

    @classmethod
    async def read(cls, **values: Any) -> Self:
        """Make the form from what was posted; as it is at first for other methods.

        Args:
            values: What the form's constructor takes, and fields to start with where nothing was posted.

        Raises:
            HTTPException: The token is missing or wrong (400), or the body is not a form that a browser could
                have sent (400, 413, 415).
        """
        if request.method != "POST":
            return cls(**values)
        form = cls(await _posted_fields(), **values)
        if not form[FIELD_NAME].validate(form):
            services().accounts.audit_log.warn("csrf_rejected")
            abort(400, _REFUSED)
        return form

    def is_complete(self) -> bool:
        """Tell whether the form was posted and every field is as it should be."""
        return request.method == "POST" and bool(self.validate())

    def refuse(self, field: str, sentence: str) -> None:
        """Show a sentence beside a field that only the application could find fault with."""
        self[field].errors = [*self[field].errors, sentence]


class LoginForm(CSRFForm):
    """Signing in. What is wrong with a name or a password is not told here."""

    username = StringField("Username")
    password = PasswordField("Password")
    remember = BooleanField("Keep me signed in on this device")
    next = HiddenField()


class PasswordPolicyValidator:
    """What a password has to be like that somebody chooses: long enough, and not one that is guessed first.

    Args:
        min_length: In characters.
        context: Words that a guesser would try here: those of the site, the username.
    """

    def __init__(self, min_length: int, *context: str) -> None:
        self._min_length = min_length
        self._context = context
        self.rule = f"At least {min_length} characters of any kind: a sentence is easy to remember."

    def __call__(self, _: Any, field: Any) -> None:
        """Refuse a password (NIST SP 800-63B-4, 3.1.1.2)."""
        if fault := validate_password(field.data or "", self._min_length, self._context):
            raise ValidationError(fault)


class RegistrationForm(CSRFForm):
    """Making an account."""

    username = StringField("Username", description=usernames.RULE)
    password = PasswordField("Password")

    def __init__(self, *args: Any, password_min_length: int, password_denylist: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        username = self.username.data or ""
        known = () if usernames.validate_username(username) else (username,)  # what is no name, no password is made of
        rules = PasswordPolicyValidator(password_min_length, *password_denylist, *known)
        self.password.validators = [rules]
        self.password.description = rules.rule

    def validate_username(self, field: Any) -> None:
        """Refuse what is not a username."""
        if fault := usernames.validate_username(field.data or ""):
            raise ValidationError(fault)


class PasswordForm(CSRFForm):
    """Changing the password."""

    current_password = PasswordField("Current password")
    new_password = PasswordField("New password")

    def __init__(
        self, *args: Any, password_min_length: int, password_denylist: Iterable[str], username: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        rules = PasswordPolicyValidator(password_min_length, *password_denylist, username)
        self.new_password.validators = [rules]
        self.new_password.description = rules.rule

    def validate_current_password(self, field: Any) -> None:
        """Refuse a form without it."""
        if not field.data:
            raise ValidationError("Type your current password, too.")


class ReauthenticationForm(CSRFForm):
    """Typing the password again."""

    password = PasswordField("Password")
    next = HiddenField()


class DeletionForm(CSRFForm):
    """Deleting the account."""

    password = PasswordField("Password")


class TokenForm(CSRFForm):
    """Making an API token."""

    name = StringField("Name", description="What it is for, so that you know it in the list.")
    days = IntegerField("Days", description=f"How long it is valid: 1 to {MOST_TOKEN_DAYS}.", default=90)

    def validate_name(self, field: Any) -> None:
        """Refuse what could not be shown in a line."""
        field.data = (field.data or "").strip()
        if not 1 <= len(field.data) <= LONGEST_TOKEN_NAME:
            raise ValidationError(f"Give it a name of 1 to {LONGEST_TOKEN_NAME} characters.")
        if not field.data.isprintable():
            raise ValidationError("This name has a character that cannot be shown.")

    def validate_days(self, field: Any) -> None:
        """Refuse what is no number of days."""
        if field.data is None or not 1 <= field.data <= MOST_TOKEN_DAYS:
            raise ValidationError(f"Give a number of days from 1 to {MOST_TOKEN_DAYS}.")


class RevocationForm(CSRFForm):
    """Ending a sign-in or a token: nothing but the token."""


class LogoutForm(CSRFForm):
    """Signing out: nothing but the token."""


async def _posted_fields() -> "MultiDict[str, str]":
    """Read the body of a posted form, strictly: each field once, in UTF-8."""
    if request.mimetype != _FORM_TYPE:
        abort(415, f"Send the form as {_FORM_TYPE}, as browsers do.")
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:  # bytes that are not UTF-8, or too many fields
        abort(400, "The form could not be read: it has to be UTF-8 text with few fields.")
    fields = MultiDict(pairs)
    if len(fields) != len(pairs):
        abort(400, "The form has a field twice.")
    return fields
