"""The pages."""

from typing import Final

from . import account, api, files, health, live, password, sign_in, tokens

#: All of them, to be registered with the app.
BLUEPRINTS: Final = tuple(pages.blueprint for pages in (sign_in, account, password, tokens, live, api, health, files))
