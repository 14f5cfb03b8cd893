"""The base of every form: its CSRF token, and reading its fields from a request."""

from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from quart import abort, render_template, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from wtforms import Form

from ..security.csrf import FIELD_NAME, SessionBoundCSRF, reject_form
from ..security.hardening import MAX_BODY, SCRIPT_HEADERS

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 20


@dataclass(frozen=True, kw_only=True)
class FormPage:
    """The fields that a form must have on its page, whichever template shows it, besides the CSRF token."""

    #: The endpoint that the form is submitted to, without the name of the blueprint.
    endpoint: str
    #: The names of its fields.
    fields: tuple[str, ...] = ()
    #: The endpoint of the page; `None`: the same.
    page: str | None = None
    #: Whether visitors see it, and users who are signed in do not.
    is_for_visitors: bool = False


class CSRFForm(Form):  # type: ignore[misc]  # WTForms ships no types
    """A form that only a page of this session can submit."""

    class Meta:
        """The field of the CSRF token."""

        csrf = True
        csrf_class = SessionBoundCSRF
        csrf_field_name = FIELD_NAME

    @classmethod
    async def read(cls, **values: Any) -> Self:
        """Create the form from the request's body; for methods other than POST, an empty one.

        Args:
            values: Arguments of the form's constructor, and initial values of fields.

        Raises:
            HTTPException: The CSRF token is missing or wrong (400), or the body is not a form that a browser could have
                sent (400, 413, 415).
        """
        if request.method != "POST":
            return cls(**values)
        form = cls(await _posted_fields(), **values)
        if not form[FIELD_NAME].validate(form):
            reject_form()
        return form

    def is_complete(self) -> bool:
        """Tell whether the form was posted and every field is valid."""
        return request.method == "POST" and bool(self.validate())

    def refuse(self, field: str, sentence: str) -> None:
        """Add an error to a field, one that the validators cannot detect."""
        self[field].errors = [*self[field].errors, sentence]


async def render_form(template: str, form: CSRFForm, **context: Any) -> ResponseReturnValue:
    """Render a page with a form: status 400 if a field is invalid. Its script adds buttons that show passwords."""
    return await render_template(template, form=form, **context), 400 if form.errors else 200, SCRIPT_HEADERS


async def _posted_fields() -> "MultiDict[str, str]":
    """Read the body of a posted form, strictly: each field once, in UTF-8."""
    if request.mimetype != _FORM_TYPE:
        abort(415, f"Send the form as {_FORM_TYPE}, as browsers do.")
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    if len(body) > MAX_BODY:
        abort(413)  # in chunks, without a length that was checked before
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:  # bytes that are not UTF-8, or too many fields
        abort(400, "The form could not be read: it must be UTF-8 text with few fields.")
    fields = MultiDict(pairs)
    if len(fields) != len(pairs):
        abort(400, "The form contains a field twice.")
    return fields
