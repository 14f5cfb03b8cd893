"""The outcomes of sign-ins, told to listeners: never the name that was entered, which may be a password."""

from typing import Final

from quartlogin import tracing

from ..features.passwords.hashing import Overloaded
from ..hooks import HookFailed
from ..security.rate_limits import TooManyAttempts

SIGNED_IN: Final = "signed in"
STEP_REQUIRED: Final = "step required"
WRONG_STEP: Final = "wrong step"
ACCOUNT_CHANGED: Final = "account changed meanwhile"
#: The outcome of each error; of any other it is "failed".
_OF_ERRORS: Final = {TooManyAttempts: "rate limited", Overloaded: "overloaded", HookFailed: "hook failed"}
#: The reasons in the audit log, each with its outcome; those of features may be any text.
_OF_REASONS: Final = {
    "unknown name": "unknown name",
    "wrong password": "wrong password",
    "disabled": "account disabled",
    "temporary password used or expired": "temporary password used or expired",
    "before_sign_in": "refused by a hook",
}


def tell_outcome(outcome: str, user_id: str | None = None, feature: str | None = None) -> None:
    """Tell what became of a sign-in; call this only `if tracing.listeners`.

    Args:
        outcome: As above.
        user_id: The user, if known.
        feature: The feature whose step it was, or is.
    """
    tracing.tell("sign_in", outcome=outcome, user_id=user_id, feature=feature)


def tell_refusal(reason: str, user_id: str | None, feature: str | None = None) -> None:
    """Tell that a sign-in was refused, for a reason in the audit log; call this only `if tracing.listeners`."""
    other = WRONG_STEP if feature is not None and reason == f"step {feature}" else "refused by a feature"
    tell_outcome(_OF_REASONS.get(reason, other), user_id, feature)


def tell_error(error: Exception, feature: str | None = None) -> None:
    """Tell that a sign-in ended with an error; call this only `if tracing.listeners`."""
    tell_outcome(_OF_ERRORS.get(type(error), "failed"), None, feature)
