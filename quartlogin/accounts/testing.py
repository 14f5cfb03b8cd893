"""Helpers for the tests of an app with accounts."""

from collections.abc import Mapping
from typing import Any, Final

from argon2 import PasswordHasher
from quart import Quart, url_for
from quart.testing import QuartClient

from quartlogin import Login, QuartLoginClient

from .context import BLUEPRINT, get_accounts
from .features.registration.new_account import create_account
from .form_fields import missing_fields
from .security import proofs
from .security.proofs import proving

#: A password that the default policy allows.
PASSWORD: Final = "a password for tests, not for people"  # noqa: S105 -- for tests


def use_cheap_hashes(app: Quart) -> None:
    """Let passwords be hashed in a thousandth of the time, in this app; call it before the app starts.

    The database must be one for tests: what is hashed this way is stored nowhere else.
    """
    get_accounts(app).use_hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def create_user(
    app: Quart, name: str = "ada", *, password: str = PASSWORD, fields: Mapping[str, Any] | None = None
) -> Any:
    """Create a user with an account, as the registration page does, without its limits.

    Args:
        app: The app, started, as in `async with app.test_app():`.
        name: As entered.
        password: As entered; it is not checked against the policy.
        fields: The values of the app's own fields.

    Returns:
        The user, as the app's `Users` or the accounts' own table has it.

    Raises:
        NameTaken: A user has this name.
        FieldError: The app refuses a value.
        ValueError: The name is not valid.
    """
    accounts = get_accounts(app)
    if fault := accounts.directory.validate(name):
        raise ValueError(fault)
    return await create_account(accounts, name, await accounts.passwords.hashing.hash(password), fields or {})


class _PasswordClient(QuartLoginClient):
    """A client whose user seems to have entered the password."""

    async def begin_login(self, login: Login) -> None:
        with proving(proofs.PASSWORD):
            await super().begin_login(login)


def signed_in_client(app: Quart, user: Any) -> QuartClient:
    """Return a test client in which a user is signed in, with a login on record, as if with the password just now.

    Args:
        app: The app, started.
        user: A user of the app, such as `create_user` returns.
    """
    return _PasswordClient(app, user=user)


async def check_templates(app: Quart, user: Any) -> None:
    """Check that every form of the accounts' pages has the fields that it must have, such as after copying templates.

    A page that answers 404, as that of the deletion does where users cannot be deleted, is left out.

    Args:
        app: The app, started.
        user: A user of the app, such as `create_user` returns.

    Raises:
        AssertionError: A page cannot be opened, or a form lacks a field.
    """
    forms = [form for feature in get_accounts(app).plan.features for form in feature.form_pages()]
    fields = {form.endpoint: form.fields for form in forms}
    faults: list[str] = []
    for page, is_for_visitors in dict.fromkeys((form.page or form.endpoint, form.is_for_visitors) for form in forms):
        client = app.test_client() if is_for_visitors else signed_in_client(app, user)
        async with app.test_request_context("/"):
            path = url_for(f"{BLUEPRINT}.{page}", next="/", _external=False)
        response = await client.get(path)
        if response.status_code == 404:  # noqa: PLR2004 -- as the docstring says
            continue
        assert response.status_code == 200, f"{path} answers {response.status_code}"  # noqa: PLR2004, S101 -- for tests
        expected = [form.endpoint for form in forms if (form.page or form.endpoint) == page]
        faults += missing_fields(app, path, await response.get_data(as_text=True), expected, fields)
    if faults:
        raise AssertionError("; ".join(faults))
