"""What a feature may answer when it is asked about a sign-in."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..database.models import Account


@dataclass(frozen=True)
class SignIn:
    """A sign-in whose password was correct."""

    user: Any
    account: Account
    #: Whether the login is to outlive the session.
    remember: bool = False


@dataclass(frozen=True)
class Refusal:
    """The user may not sign in. It is answered, and counted, as a wrong password."""

    #: For the audit log.
    reason: str


@dataclass(frozen=True)
class Step:
    """The user has to do one more thing first, on a page of the feature.

    Once it is done, the login holds the feature's `proofs`, beside that of the password.
    """

    #: The endpoint of the page, without the name of the blueprint.
    endpoint: str


@dataclass(frozen=True)
class Activity:
    """The activity of an account between two sign-ins."""

    failures: int
    #: Seconds since 1970; `None` before the first.
    last_sign_in: int | None


class SignedIn(NamedTuple):
    """A user who has just signed in."""

    user: Any
    account: Account
    #: What happened since the sign-in before.
    activity: Activity


class StepRequired(Exception):  # noqa: N818 -- the visitor's next step, not a fault
    """The password, or the step before, was correct, and a feature asks for one more step: nobody is signed in yet.

    Args:
        endpoint: The endpoint of the page for it, such as `accounts.enter_code`.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.endpoint = endpoint


class NoPendingSignIn(Exception):  # noqa: N818 -- as above
    """No sign-in of this session waits for this step: it took too long, was completed, or the account was changed."""
