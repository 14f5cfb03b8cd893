"""The registration form."""

from collections.abc import Iterable
from typing import Any, Final

from werkzeug.datastructures import MultiDict
from wtforms import Form, PasswordField, StringField, ValidationError

from quartlogin import ConfigurationError

from ...context import current_accounts
from ...pages.forms import CSRFForm, FormPage
from ...users.protocol import FieldError
from ..passwords.forms import PasswordPolicyValidator, name_field

_OURS: Final = frozenset({"username", "password", "csrf_token", "next"})


class RegistrationForm(CSRFForm):
    """Create an account."""

    username = StringField()
    password = PasswordField("Password")

    def __init__(self, *args: Any, password_min_length: int, password_denylist: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_field(self)
        directory = current_accounts().directory
        self.username.description = directory.name_rule
        username = self.username.data or ""
        valid_usernames = () if directory.validate(username) else (username,)
        policy = PasswordPolicyValidator(password_min_length, *password_denylist, *valid_usernames)
        self.password.validators = [policy]
        self.password.description = policy.rule

    def validate_username(self, field: Any) -> None:
        """Reject an invalid username."""
        if fault := current_accounts().directory.validate(field.data or ""):
            raise ValidationError(fault)

    def own_fields(self) -> list[Any]:
        """Return the app's own fields."""
        return [field for field in self if field.name not in _OURS]


def registration_form(own: type[Form] | None) -> type[RegistrationForm]:
    """Return the form of the registration page.

    Args:
        own: A form with the app's own fields; `None` without any.

    Raises:
        ConfigurationError: It is not a form, or has a field with a name of ours.
    """
    if own is None:
        return RegistrationForm
    if not (isinstance(own, type) and issubclass(own, Form)):
        raise ConfigurationError(f"Registration(form={own!r:.80}): use a class derived from wtforms.Form.")
    if clashes := sorted(name for name in _OURS if hasattr(own, name)):
        raise ConfigurationError(
            f"Registration(form={own.__name__}): the page has a field {clashes[0]!r} already. Give only the app's."
        )
    return type("RegistrationForm", (RegistrationForm, own), {})


def fill_in(own: type[Form] | None, values: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of the app's own fields, as its form reads them.

    Args:
        own: The app's own form; `None` without one.
        values: Names of fields, and what is entered there.

    Raises:
        FieldError: The form refuses a value.
    """
    form = (own or Form)(MultiDict(values))
    if form.validate():
        return dict(form.data)
    name, texts = next(iter(form.errors.items()))
    raise FieldError(str(name), str(next(iter(texts))))


def form_page_with(own: type[Form] | None) -> FormPage:
    """Return the fields that the form must have, with those of the app's own that it requires."""
    names = [] if own is None else [field.name for field in own() if field.flags.required]
    return FormPage(endpoint="register", fields=("username", "password", *names), is_for_visitors=True)
