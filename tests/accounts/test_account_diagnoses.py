"""Each situation of the accounts in which a visitor is, or is not, signed in, is made and diagnosed."""

from collections.abc import Callable, Iterator

import pytest
from quart import Quart

from client import PASSWORD, Visitor, change_password, set_active
from quartlogin import tracing
from quartlogin.accounts import get_accounts
from quartlogin.explaining import login_rules, outcome_rules
from situations import Recorded, makes


@pytest.fixture
def site(app: Quart) -> Iterator[Recorded]:
    """The application, whose requests are recorded."""
    site = Recorded(app)
    with tracing.listening(site.recorder):
        yield site


@makes(login_rules.SIGN_IN_FAILED, "sign_in")
async def test_a_wrong_password_is_entered(site: Recorded, visitor: Visitor, alice: str) -> None:
    await visitor.sign_in(password="not the right password")


@makes(outcome_rules.SIGNS_IN, "login")
async def test_the_right_password_is_entered(site: Recorded, visitor: Visitor, alice: str) -> None:
    await visitor.sign_in()


@makes(login_rules.LOGIN_ENDED, "login_row")
async def test_the_password_is_changed_in_another_browser(
    site: Recorded, new_visitor: Callable[[], Visitor], alice: str
) -> None:
    one, other = new_visitor(), new_visitor()
    await one.sign_in()
    await other.sign_in()
    await change_password(other)
    await one.get("/account")


@makes(login_rules.ENDED_ELSEWHERE, "login_row")
async def test_the_account_is_disabled_on_the_command_line(
    site: Recorded, app: Quart, visitor: Visitor, alice: str
) -> None:
    await visitor.sign_in()
    await set_active(app, "Alice", active=False)
    await visitor.get("/account")


@makes(login_rules.RECORD_NOT_ACTIVE, "login_row")
async def test_everybody_was_signed_out_before_this_login_began(
    site: Recorded, app: Quart, now: list[float], visitor: Visitor, alice: str
) -> None:
    """What ended earlier logins is not what ended this one."""
    async with app.test_request_context("/"):
        await get_accounts(app).logins.revoke_all()
    await visitor.sign_in()
    now[0] += 15 * 24 * 60 * 60  # longer than an unused login stays active
    await visitor.get("/account")


async def remembered(visitor: Visitor) -> tuple[str, str]:
    """Sign in, and return the name and the value of the remember cookie."""
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="1")
    return next((name, value) for name, value in visitor.cookies.items() if "remember" in name)


async def use_copy(visitor: Visitor, name: str, value: str) -> None:
    visitor.client.set_cookie("localhost", name, value)
    await visitor.get("/account")


@makes(login_rules.ENDED_NOW, "login_ended")
async def test_a_copy_of_a_remember_cookie_is_used_after_it_was_replaced(
    site: Recorded, now: list[float], new_visitor: Callable[[], Visitor], alice: str
) -> None:
    cookie = await remembered(new_visitor())
    for visitor in (new_visitor(), new_visitor()):
        await use_copy(visitor, *cookie)
        now[0] += 60


@makes(login_rules.REMEMBER_REPLACED, "login_row")
async def test_a_session_goes_on_after_a_copy_of_its_remember_cookie_was_used(
    site: Recorded, now: list[float], new_visitor: Callable[[], Visitor], alice: str
) -> None:
    victim, thief = new_visitor(), new_visitor()
    await use_copy(thief, *await remembered(victim))
    now[0] += 60
    await thief.get("/account")
    victim.client.delete_cookie("localhost", next(name for name in victim.cookies if "remember" in name))
    await victim.get("/account")
