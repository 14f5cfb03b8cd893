"""The guard of sensitive pages."""

from datetime import timedelta
from typing import Final

from ..security.proofs import Requirement
from ..security.step_up import guard_with

#: How long ago the user may have been authenticated for a sensitive action (ASVS 5.0 7.5.1).
MAX_AGE: Final = timedelta(minutes=30)

#: Guards a view that needs a recent login, as `accounts.requires(within=MAX_AGE)` does.
recent_login_required = guard_with(Requirement(within=MAX_AGE))
