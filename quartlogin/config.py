"""The constants of the extension, under Flask-Login's names."""

from typing import Final

#: What is flashed when a visitor is sent to the login page.
LOGIN_MESSAGE: Final = "Please log in to access this page."
#: The category of that flashed message.
LOGIN_MESSAGE_CATEGORY: Final = "message"
#: The name of the method that gives a user's id.
ID_ATTRIBUTE: Final = "get_id"
#: The methods that guards let through unasked: a browser's CORS preflight carries no cookies (Fetch standard).
EXEMPT_METHODS: Final = frozenset({"OPTIONS"})
