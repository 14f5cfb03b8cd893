"""The guard of sensitive pages."""

from datetime import timedelta
from typing import Final

from quartlogin import fresh_login_required

#: How long ago the password may have been entered for a sensitive action (ASVS 5.0 7.5.1).
MAX_AGE: Final = timedelta(minutes=30)

#: Guards a view that needs a recent login.
recent_login_required = fresh_login_required(max_age=MAX_AGE)
