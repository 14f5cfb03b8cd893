"""The accounts of the current app, and the login of the current request."""

from typing import TYPE_CHECKING, Any, Final, cast

from quart import Quart, current_app, has_request_context, has_websocket_context, request, websocket

from quartlogin import ConfigurationError, current_user, login_id

from .database.models import AccountLogin
from .security.proofs import Requirement

if TYPE_CHECKING:
    from .accounts import Accounts

#: Where an app keeps its `Accounts`.
EXTENSION_NAME: Final = "quartlogin.accounts"
#: The name of the blueprint; its endpoints are `accounts.login` and so on.
BLUEPRINT: Final = "accounts"
#: Where a request or websocket keeps the login that its user was loaded by.
_LOGIN: Final = "_quartlogin_account_login"
#: Where it keeps what its guards have required of that login.
_REQUIREMENTS: Final = "_quartlogin_requirements"


_request: Any = request
_websocket: Any = websocket


def get_accounts(app: Quart) -> "Accounts":
    """Return the accounts of this app.

    Raises:
        ConfigurationError: It has none.
    """
    try:
        return cast("Accounts", app.extensions[EXTENSION_NAME])
    except KeyError:
        raise ConfigurationError(
            f"The app {app.name!r} has no accounts: write `Accounts(app, database=...)`, or call `init_app(app)`."
        ) from None


def current_accounts() -> "Accounts":
    """Return the accounts of the app that handles the current request."""
    return get_accounts(current_app)


def is_own_page() -> bool:
    """Tell whether the current request or websocket is for a page of the accounts."""
    connection = _connection()
    return connection is not None and is_own_endpoint(connection.endpoint)


def is_own_endpoint(endpoint: str | None) -> bool:
    """Tell whether this is an endpoint of the accounts' blueprint."""
    return endpoint is not None and endpoint.startswith(f"{BLUEPRINT}.")


def keep_login(login: AccountLogin | None) -> None:
    """Keep the login of the current request or websocket, if there is one."""
    connection = _connection()
    if connection is not None:
        vars(connection)[_LOGIN] = login


def keep_proofs(proofs: str) -> None:
    """Keep what is proved from now on in the login of the current request, if it is loaded."""
    login = loaded_login()
    if login is not None:
        keep_login(login._replace(proofs=proofs))


async def current_login() -> AccountLogin | None:
    """Return the login of the current request; `None` for an anonymous visitor."""
    user = await current_user
    if login_id() is None or not user.is_authenticated:
        return None  # a login that was looked up and refused is not that of a user whom a request_loader has found
    return loaded_login()


def loaded_login() -> AccountLogin | None:
    """Return the login of the current request if its user is loaded, without loading it."""
    connection = _connection()
    return None if connection is None else vars(connection).get(_LOGIN)


def keep_requirement(requirement: Requirement) -> None:
    """Keep what a guard of the current request or websocket requires, for what it writes."""
    connection = _connection()
    if connection is not None:
        vars(connection)[_REQUIREMENTS] = (*kept_requirements(), requirement)


def kept_requirements() -> tuple[Requirement, ...]:
    """Return what the guards of the current request or websocket require."""
    connection = _connection()
    kept: tuple[Requirement, ...] = () if connection is None else vars(connection).get(_REQUIREMENTS, ())
    return kept


def _connection() -> Any:
    """Return the request or websocket object itself, not a proxy; `None` outside of both."""
    if has_request_context():
        return _request._get_current_object()
    return _websocket._get_current_object() if has_websocket_context() else None
