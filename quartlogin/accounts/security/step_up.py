"""Step-up: views that need a proof, and the writes that check it again."""

import time
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Any, Final

from quart.typing import ResponseReturnValue

from quartlogin import ConfigurationError, login_fresh, make_guard, reload_user

from ..context import current_accounts, keep_requirement, loaded_login
from ..feature import check_duration
from .proofs import Requirement

_WITHIN: Final = (timedelta(seconds=1), timedelta(days=365))

Guard = Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]


def check_requirement(proofs: tuple[Any, ...], within: Any, known: Collection[str]) -> None:
    """Check the arguments of `Accounts.requires`.

    Args:
        proofs: The names of the proofs.
        within: How long ago at most.
        known: The names of all proofs that the features know.

    Raises:
        ConfigurationError: No feature knows one of the proofs, or the duration is out of range.
    """
    for name in proofs:
        if callable(name):
            raise ConfigurationError("Write `@accounts.requires()` above the view, with parentheses.")
        if name not in known:
            raise ConfigurationError(
                f"accounts.requires({name!r:.80}): no feature has this proof. Use one of: {', '.join(sorted(known))}."
            )
    if within is not None:
        check_duration("accounts.requires", "within", within, _WITHIN)


def guard_with(requirement: Requirement) -> Guard:
    """Make a decorator that admits signed-in users whose login meets a requirement.

    What these requests write on behalf of their login checks the requirement again.
    """
    return make_guard(partial(_is_met, requirement), partial(ask_for_proof, requirement))


async def ask_for_proof(requirement: Requirement) -> ResponseReturnValue:
    """Return the response to a user who must prove something: pages lead to where the first alternative is proved.

    Raises:
        LoginRequired: The response is 401: for JSON, for API tokens and for websockets.
    """
    accounts = current_accounts()
    pages = {kind: page for feature in accounts.plan.features for kind, page in feature.proofs.items()}
    [view] = [pages.get(kind) for kind in requirement.kinds[:1]] or [None]
    return await accounts.login_manager.needs_refresh(
        max_age=requirement.within, acr_values=requirement.kinds, view=view
    )


async def _is_met(requirement: Requirement) -> bool:
    if not login_fresh():
        return False  # in another browser, resumed by remember cookie, or an API token
    if loaded_login() is None:
        await reload_user()  # this request itself has signed the user in
    login = loaded_login()
    if login is None or not requirement.is_met(login.proofs, time.time()):
        return False
    keep_requirement(requirement)
    return True
