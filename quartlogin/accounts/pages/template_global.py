"""The global `accounts` of templates: what the pages show beside their own variables."""

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..security import csrf
from . import filters, user_agents
from .redirects import home_page

if TYPE_CHECKING:
    from ..services import Services


class TemplateGlobal:
    """What templates call `accounts`.

    Args:
        services: The accounts of the app.
    """

    def __init__(self, services: "Services") -> None:
        self._services = services

    @property
    def site_name(self) -> str:
        """The name of the site."""
        return self._services.options.site_name

    @property
    def can_register(self) -> bool:
        """Whether visitors can create an account."""
        return self._services.options.registration

    @property
    def can_delete(self) -> bool:
        """Whether users can delete their account."""
        return self._services.options.deletion and self._services.directory.can_delete

    @property
    def has_tokens(self) -> bool:
        """Whether users can create API tokens."""
        return self._services.options.api_tokens

    @property
    def name_label(self) -> str:
        """What pages call the name, such as "Username"."""
        return self._services.directory.name_label

    def name_of(self, user: Any) -> str:
        """Return the name of a user."""
        return self._services.directory.name_of(user)

    def csrf_field(self) -> Markup:
        """Return the hidden field with the CSRF token, for forms."""
        return csrf.csrf_field()

    def home_page(self) -> str:
        """Return the URL of the site's home page."""
        return home_page()

    def moment(self, seconds: int) -> Markup:
        """Return a time, given in seconds since 1970, which script shows in the visitor's time zone."""
        return filters.moment(seconds)

    async def describe_browser(self, user_agent: str) -> str:
        """Return what a `User-Agent` says, in words."""
        return await user_agents.describe_among_many(user_agent)

    def describe_event(self, kind: str, subject: str | None = None) -> str:
        """Return an event in words."""
        return self._services.audit_log.describe(kind, subject)
