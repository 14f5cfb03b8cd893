"""Checks of what an app gives to its accounts: each error is one sentence, before anything is served."""

import re
from collections import Counter
from collections.abc import Sequence
from logging import getLogger
from typing import Final

from quart import Quart

from quartlogin import ConfigurationError, SignedSessionInterface

from .context import BLUEPRINT
from .feature import Feature
from .features.logins.feature import Logins
from .features.passwords.feature import Passwords
from .security.proofs import check_kind

_log = getLogger(__name__)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PREFIX: Final = re.compile(r"(/[\w.~-]+)+", re.ASCII)


def check_place(database: str, prefix: str) -> None:
    """Refuse a database that is neither a file nor a server's, and a prefix that cannot stand before a page's path."""
    if not isinstance(database, str) or not database or database.startswith((":", "file:")):
        raise ConfigurationError(
            f"Accounts(database={database!r:.80}): use the path of a file, or an address such as "
            "postgresql://host/name."
        )
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"Accounts(prefix={prefix!r:.80}): use a path such as /me, without a slash at its end."
        )


def check_addresses(app: Quart) -> None:
    """Refuse a route of the app at the address of a page of the accounts: one of the two could not be reached.

    Raises:
        ConfigurationError: There is one.
    """
    ours: dict[tuple[str, str | None], str] = {}
    others: dict[tuple[str, str | None], str] = {}
    for rule in app.url_map.iter_rules():
        (ours if rule.endpoint.startswith(f"{BLUEPRINT}.") else others)[rule.rule, rule.host] = rule.endpoint
    for address in ours.keys() & others.keys():
        raise ConfigurationError(
            f"The app has a route {others[address]!r} at {address[0]}, where the accounts have a page: "
            "change its path, or give Accounts a `prefix`."
        )


def check_features(features: Sequence[Feature]) -> None:
    """Refuse what is no feature, a feature given twice, and accounts without those that every page needs."""
    for feature in features:
        if not isinstance(feature, Feature):
            raise ConfigurationError(f"Accounts(features=[...]): {feature!r:.80} is no feature; write `Passwords()`.")
        if not _NAME.fullmatch(getattr(feature, "name", "")):
            raise ConfigurationError(
                f"The feature {type(feature).__name__} needs a `name` of lower-case letters, digits and underscores: "
                "that of the folder of its templates."
            )
        for kind in feature.proofs:
            check_kind(kind)
    names = [feature.name for feature in features]
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigurationError(f"The feature {name!r} is given twice: give each feature once.")
    for needed in (Passwords, Logins):
        if needed.name not in names:
            raise ConfigurationError(f"The accounts need the feature {needed.__name__}(): add it to `features`.")


def check_proof_pages(app: Quart, features: Sequence[Feature]) -> None:
    """Check that the page on which each feature asks for a proof exists.

    Raises:
        ConfigurationError: The app has no such endpoint.
    """
    for feature in features:
        for kind, page in feature.proofs.items():
            if page is not None and page not in app.view_functions:
                raise ConfigurationError(
                    f"The feature {feature.name!r} asks for the proof {kind!r} at {page!r:.80}: the app has no such "
                    "endpoint."
                )


def check_shared_cookies(app: Quart, audience: str | None) -> None:
    """Refuse cookies that the other apps of this audience would not get, or could not read.

    Raises:
        ConfigurationError: The app shares its logins, and its cookies are its own.
    """
    if audience is None:
        return
    shares = f"The app shares its logins under the audience {audience!r}"
    interface = app.session_interface
    if isinstance(interface, SignedSessionInterface) and interface.audience != audience:
        raise ConfigurationError(
            f"{shares}, and its sessions have another one: write SignedSessionInterface(audience={audience!r})."
        )
    paths = {
        "SESSION_COOKIE_PATH": interface.get_cookie_path(app),
        "REMEMBER_COOKIE_PATH": app.config.get("REMEMBER_COOKIE_PATH", "/"),
    }
    for setting, path in paths.items():
        if path != "/":
            raise ConfigurationError(
                f"{shares}, and browsers send its cookies below {path} only: set {setting} to '/', in each of the apps."
            )


def exempt_from_csrf_of(app: Quart) -> None:
    """Exempt the accounts' pages from a CSRF extension of the app's: they check their own tokens."""
    extension = app.extensions.get("csrf")
    if extension is None:
        return
    try:
        extension.exempt(app.blueprints[BLUEPRINT])
    except Exception as error:
        _log.warning(
            "The app has a CSRF extension (%s), and its `exempt` does not take the blueprint %r (%s): exempt the views "
            "of that blueprint, or its forms are refused.",
            *(type(extension).__name__, BLUEPRINT, type(error).__name__),
        )
