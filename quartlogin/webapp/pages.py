"""The pages."""

from typing import Final

from ..accounts.audit import pages as account_updates
from ..accounts.features.api_tokens import pages as api_tokens
from ..accounts.features.logins import pages as logins
from ..accounts.features.passwords import change
from ..accounts.features.passwords import pages as passwords
from ..accounts.pages import files
from . import api, health

_PAGES = (passwords, logins, change, api_tokens, account_updates, api, health, files)
#: All of them, to be registered with the app.
BLUEPRINTS: Final = tuple(pages.blueprint for pages in _PAGES)
