"""The forms: which fields they have, what may be in them, and how they are read from a request."""

from typing import Any, Final, Self
from urllib.parse import parse_qsl

from quart import abort, request
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, HiddenField, PasswordField, StringField, ValidationError

from . import usernames
from .csrf import FIELD_NAME, SessionBoundCSRF
from .passwords import LONGEST_PASSWORD, length

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 20
_REFUSED: Final = (
    "This form was open for too long, or it was opened before you signed in or out. Nothing was changed. "
    "Go back, reload the page and send it again."
)


class SignedForm(Form):  # type: ignore[misc]  # WTForms ships no types
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
            abort(400, _REFUSED)
        return form

    def is_complete(self) -> bool:
        """Tell whether the form was posted and every field is as it should be."""
        return request.method == "POST" and bool(self.validate())

    def refuse(self, field: str, sentence: str) -> None:
        """Show a sentence beside a field that only the application could find fault with."""
        self[field].errors = [*self[field].errors, sentence]


class LoginForm(SignedForm):
    """Signing in. What is wrong with a name or a password is not told here."""

    username = StringField("Username")
    password = PasswordField("Password")
    remember = BooleanField("Keep me signed in on this device")
    next = HiddenField()


class RegistrationForm(SignedForm):
    """Making an account."""

    username = StringField("Username", description=usernames.RULE)
    password = PasswordField("Password")

    def __init__(self, *args: Any, password_min_length: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._password_min_length = password_min_length
        self.password.description = (
            f"At least {password_min_length} characters of any kind: a sentence is easy to remember."
        )

    def validate_username(self, field: Any) -> None:
        """Refuse what is not a username."""
        if fault := usernames.complaint(field.data or ""):
            raise ValidationError(fault)

    def validate_password(self, field: Any) -> None:
        """Refuse a password that is too short or too long, and nothing else (NIST SP 800-63B-4, 3.1.1.2)."""
        size = length(field.data or "")
        if size < self._password_min_length:
            raise ValidationError(f"Use at least {self._password_min_length} characters; these are {size}.")
        if size > LONGEST_PASSWORD:
            raise ValidationError(f"Use at most {LONGEST_PASSWORD} characters; these are {size}.")


class LogoutForm(SignedForm):
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
