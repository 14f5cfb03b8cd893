"""The base of a feature: one capability of the accounts, given to `Accounts(features=[...])`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from quart import Blueprint

from quartlogin import ConfigurationError

from .audit.kinds import EventKind
from .database.models import AccountLogin
from .pages.forms import FormPage
from .sign_in.steps import Refusal, SignIn, Step

if TYPE_CHECKING:
    import click

    from .store import Store


class Feature:
    """One capability. A feature overrides what it has, and nothing else."""

    #: The name of its folder, also of its templates: `templates/accounts/<name>/`.
    name: ClassVar[str]
    #: The kinds of events that it records.
    events: ClassVar[Mapping[str, EventKind]] = {}
    #: The fields that its forms must have.
    forms: ClassVar[tuple[FormPage, ...]] = ()
    #: What its pages prove about a user, by the names that `Accounts.requires` takes, such as `totp`; each with the
    #: endpoint of the page that asks for it, `None` for the `refresh_view` of the login manager. The page writes
    #: `with proving("totp"): await confirm_login()`.
    proofs: ClassVar[Mapping[str, str | None]] = {}

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that it sets."""
        return {}

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""

    def form_pages(self) -> tuple[FormPage, ...]:
        """Return the fields that its forms must have: `forms`, unless they depend on its settings."""
        return self.forms

    async def panel(self, login: AccountLogin) -> Mapping[str, Any] | None:  # noqa: ARG002 -- for those that override it
        """Return the variables of its panel on the account page; `None` without one.

        The template is `accounts/<name>/panel.html`, and finds them in `panel`.

        Args:
            login: The login of the request.
        """
        return None

    async def before_sign_in(self, sign_in: SignIn) -> Refusal | Step | None:  # noqa: ARG002 -- as above
        """Say whether a user whose password was correct may sign in; called after the app's `before_sign_in` hooks.

        Returns:
            `None` to agree, a `Refusal`, or a `Step` that must be completed first. After its own step, a feature is not
            asked again; after that of another one, it is.
        """
        return None

    async def after_sign_in(self, sign_in: SignIn) -> None:
        """Note that a user has signed in with a password and every step."""

    def commands(self) -> Sequence["click.Command"]:
        """Return its commands; import them here, since an app that is served needs none."""
        return ()

    async def remove_expired(self, store: "Store", now: int, at_most: int) -> int:  # noqa: ARG002 -- as above
        """Remove some rows that are no longer needed; return how many. It is called again until there are none.

        Args:
            store: The database.
            now: Seconds since 1970.
            at_most: How many rows: others wait for the transaction.
        """
        return 0


def check_range(owner: str, name: str, value: Any, bounds: tuple[int, int], unit: str) -> None:
    """Check a number.

    Args:
        owner: The class that has the option.
        name: The option.
        value: Its value.
        bounds: The least and the greatest valid value.
        unit: What is counted, in the plural.

    Raises:
        ConfigurationError: The value is not a whole number in this range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        raise ConfigurationError(
            f"{owner}({name}={value!r:.80}): use a whole number of {unit} from {bounds[0]} to {bounds[1]}."
        )


def check_duration(owner: str, name: str, value: Any, bounds: tuple[timedelta, timedelta]) -> None:
    """Check a duration.

    Args:
        owner: The class that has the option.
        name: The option.
        value: Its value.
        bounds: The least and the greatest valid value.

    Raises:
        ConfigurationError: The value is not a `timedelta` in this range.
    """
    if not isinstance(value, timedelta) or not bounds[0] <= value <= bounds[1]:
        raise ConfigurationError(f"{owner}({name}={value!r:.80}): use a timedelta from {bounds[0]} to {bounds[1]}.")
