"""The features that the package ships."""

from collections.abc import Iterable

from ..audit.kinds import SHARED_EVENTS, EventKind, merge_kinds
from ..feature import Feature
from .api_tokens.feature import ApiTokens
from .deletion.feature import Deletion
from .logins.feature import Logins
from .passwords.feature import Passwords
from .registration.feature import Registration


def default_features() -> list[Feature]:
    """Return every feature, with its default options, in the order of the account page."""
    return [Passwords(), Logins(), Registration(), ApiTokens(), Deletion()]


def known_events(given: Iterable[Feature] = ()) -> dict[str, EventKind]:
    """Return the kinds of events that may be recorded.

    Those of a shipped feature that is not given are among them: public coroutines, commands and earlier events have
    them, too.

    Args:
        given: The features of the accounts.

    Raises:
        ConfigurationError: Two features declare a kind of the same name.
    """
    shipped = default_features()
    others = [feature for feature in given if type(feature) not in map(type, shipped)]
    return merge_kinds([("", SHARED_EVENTS), *((feature.name, feature.events) for feature in [*shipped, *others])])
