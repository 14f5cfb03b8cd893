"""The names of browsers on the account page."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import ua_parser
from quart import Quart
from ua_parser import Domain

from client import PASSWORD, Visitor
from quartlogin.accounts.pages import user_agents
from quartlogin.accounts.pages.user_agents import COMMAND_LINE, describe

MOST_SIGN_INS = 1000  # the highest MAX_LOGINS_PER_USER
EVENTS = 20
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gather what the parser is asked for the browser's name."""
    seen: list[str] = []
    parse = user_agents.parse_user_agent

    def noted(text: str) -> Any:
        seen.append(text)
        return parse(text)

    monkeypatch.setattr(user_agents, "parse_user_agent", noted)
    user_agents._look_up.cache_clear()
    return seen


@pytest.mark.parametrize(
    ("browser", "words"),
    [
        (FIREFOX, "Firefox 128 on Linux"),
        ("curl/8.5.0", "curl 8"),
        ("", "Unknown browser"),
        ("\U0001f98a" * 256, "Unknown browser"),
        (COMMAND_LINE, "Command line"),
    ],
)
def test_a_user_agent_is_described_by_browser_and_system(browser: str, words: str) -> None:
    assert describe(browser) == words


def test_the_largest_account_page_is_looked_up_once(looked_up: list[str]) -> None:
    names = [f"{number} {FIREFOX}" for number in range(MOST_SIGN_INS + EVENTS)]

    shown = [[describe(browser) for browser in names] for _ in range(2)]

    assert shown[0] == shown[1]
    assert len(looked_up) == len(names)


@pytest.mark.requirement("15.2.2")
@pytest.mark.parametrize("browser", ["x" * 256, "_" * 60_000, "Android 1;" + "a" * 246, " " * 256])
def test_however_long_a_user_agent_is_its_beginning_alone_is_looked_up_and_once(
    looked_up: list[str], browser: str
) -> None:
    """Denial of service: the parser's time grows with the square of the length, to 12 ms of the event loop."""
    for number in range(10):
        describe(f"{browser}{number}")

    assert [len(text) for text in looked_up] == [192]


@pytest.mark.requirement("15.2.2")
def test_the_device_which_is_not_shown_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    domains: list[Domain] = []
    parser: Any = ua_parser.parser  # type: ignore[attr-defined]  # made when it is first asked for
    resolver = parser.resolver

    def noted(text: str, domain: Domain) -> Any:
        domains.append(domain)
        return resolver(text, domain)

    monkeypatch.setattr(parser, "resolver", noted)
    user_agents._look_up.cache_clear()

    describe(f"{FIREFOX} of its own")

    assert domains == [Domain.USER_AGENT, Domain.OS]


@pytest.mark.requirement("15.2.2")
async def test_on_the_account_page_others_have_their_turn_after_each_browser_that_is_looked_up(
    app: Quart, visitor: Visitor, database: str, looked_up: list[str]
) -> None:
    """Denial of service: fifty sign-ins with hostile names would hold the event loop for all of them together."""
    await visitor.register("Alice")
    for number in range(20):
        client = app.test_client()
        token = (await Visitor(client).get("/login")).token
        fields = {"csrf_token": token, "username": "Alice", "password": PASSWORD}
        await Visitor(client).post("/login", fields, headers={"User-Agent": f"{number}{'_' * 200}"})
    user_agents._look_up.cache_clear()
    looked_up.clear()
    turns: list[int] = []

    async def count_turns() -> None:
        while True:
            turns.append(len(looked_up))
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    page = await visitor.get("/account")
    counting.cancel()

    assert page.text.count("Unknown browser") > 20
    assert len(looked_up) > 20
    assert max(after - before for before, after in pairwise(turns)) == 1
