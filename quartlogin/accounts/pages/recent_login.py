"""Which pages ask for the password again, and how soon."""

from datetime import timedelta
from typing import Final

from quartlogin import fresh_login_required

#: How long ago the password may have been typed for what matters most (ASVS 5.0 7.5.1).
LONGEST_AGE: Final = timedelta(minutes=30)

#: Guards a view of which that is true.
recent_login_required = fresh_login_required(max_age=LONGEST_AGE)
