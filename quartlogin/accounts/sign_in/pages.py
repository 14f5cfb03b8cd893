"""The end of every page that signs a user in: the next step, or the page that was requested."""

from quart import redirect, url_for
from quart.typing import ResponseReturnValue

from quartlogin import safe_next

from ..features.logins.notices import show_notices
from ..pages.redirects import next_page
from .steps import SignedIn, StepRequired


async def redirect_after_sign_in(signed_in: SignedIn, requested: str | None) -> ResponseReturnValue:
    """Flash the notices for the user, and redirect.

    Args:
        signed_in: The user.
        requested: The `next` parameter that the visitor sent.
    """
    await show_notices(signed_in.account, signed_in.activity)
    return redirect(next_page(requested))


def redirect_to_step(required: StepRequired, requested: str | None) -> ResponseReturnValue:
    """Redirect to the page of a step.

    Args:
        required: The step.
        requested: The `next` parameter that the visitor sent; one that leads off the site is left out.
    """
    return redirect(url_for(required.endpoint, next=safe_next(requested)))
