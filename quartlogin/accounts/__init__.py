"""Accounts for Quart apps: registering, signing in, passwords, logins and API tokens."""

from .accounts import Accounts
from .audit.log import AUDIT_LOGGER
from .audit.security_events import RouteLoggingQuart, session_refused
from .context import current_accounts, get_accounts
from .database.errors import DatabaseRefused, LoginEnded, NameTaken, ReauthenticationRequired, StoreUnavailable
from .database.models import User
from .feature import Feature
from .features.api_tokens.feature import ApiTokens
from .features.deletion.feature import Deletion
from .features.logins.feature import Logins
from .features.passwords.feature import Passwords
from .features.passwords.hashing import MAX_PASSWORD_LENGTH, Overloaded
from .features.passwords.service import BreachedPassword, SamePassword, WrongCredentials, WrongPassword
from .features.registration.feature import Registration
from .hooks import HookFailed
from .options import AccountsOptions
from .paths import STATIC, find_resource
from .security.csrf import check_csrf
from .security.proofs import proving
from .security.rate_limits import TooManyAttempts
from .security.request_checks import must_change_password
from .security.secret_key import APP_WITHOUT_KEY, NO_KEY, key_file, new_key, read_or_create, rotate
from .sign_in.steps import NoPendingSignIn, Refusal, SignIn, Step, StepRequired
from .store import POSTGRES_SCHEMES, store_at
from .users.columns import UserColumns
from .users.protocol import DeleteRefused, FieldError, Users

__all__ = [
    "APP_WITHOUT_KEY",
    "AUDIT_LOGGER",
    "MAX_PASSWORD_LENGTH",
    "NO_KEY",
    "POSTGRES_SCHEMES",
    "STATIC",
    "Accounts",
    "AccountsOptions",
    "ApiTokens",
    "BreachedPassword",
    "DatabaseRefused",
    "DeleteRefused",
    "Deletion",
    "Feature",
    "FieldError",
    "HookFailed",
    "LoginEnded",
    "Logins",
    "NameTaken",
    "NoPendingSignIn",
    "Overloaded",
    "Passwords",
    "ReauthenticationRequired",
    "Refusal",
    "Registration",
    "RouteLoggingQuart",
    "SamePassword",
    "SignIn",
    "Step",
    "StepRequired",
    "StoreUnavailable",
    "TooManyAttempts",
    "User",
    "UserColumns",
    "Users",
    "WrongCredentials",
    "WrongPassword",
    "check_csrf",
    "current_accounts",
    "find_resource",
    "get_accounts",
    "key_file",
    "must_change_password",
    "new_key",
    "proving",
    "read_or_create",
    "rotate",
    "session_refused",
    "store_at",
]
