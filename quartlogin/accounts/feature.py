"""The interface of a feature: one capability of the accounts, given to `Accounts(features=[...])`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from quart import Blueprint

from quartlogin import ConfigurationError

from .pages.forms import FormPage


class Feature(Protocol):
    """One capability: its pages and its options."""

    #: The name of its folder.
    name: ClassVar[str]

    def options(self) -> Mapping[str, Any]:
        """Return the fields of `AccountsOptions` that this feature sets."""
        ...

    def add_pages(self, blueprint: Blueprint) -> None:
        """Add its pages to the blueprint of the accounts."""
        ...

    def form_pages(self) -> tuple[FormPage, ...]:
        """Return the fields that its forms must have."""
        ...


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
