"""Race conditions between two processes on one PostgreSQL, judged from outside after each of many rounds.

PostgreSQL shows each statement of a transaction what was committed before it began (READ COMMITTED), so another process
can write between two statements. SQLite has one writer.
"""

from collections.abc import Iterator

import pytest

from databases import on_postgresql
from racing import Racer, race, racer

pytestmark = [pytest.mark.slow, on_postgresql]

SIGN_INS, TOKENS = 4, 4  # at once


@pytest.fixture
def racers(database: str) -> Iterator[tuple[Racer, Racer]]:
    with racer(database) as one, racer(database) as two:
        yield one, two


def password(number: int) -> str:
    return f"the password of round {number}"


@pytest.mark.alone
@pytest.mark.requirement("7.4.3")
def test_race_in_300_rounds_no_login_with_the_old_password_survives_its_change(racers: tuple[Racer, Racer]) -> None:
    stranger, owner = racers
    owner.ask("register", password(0))
    let_in, survived = 0, []

    for number in range(300):
        changed, jars = race(
            (owner, "change_password", password(number), password(number + 1)),
            (stranger, "sign_in_often", password(number), SIGN_INS),
        )
        assert changed == "/account"
        let_in += len(jars)
        if stranger.ask("count_let_in", jars, []):
            survived.append(number)

    assert let_in  # or nobody has raced
    assert survived == []


@pytest.mark.parametrize("ending", ["set_password", "disable_and_enable"])
def test_race_in_20_rounds_no_login_checked_before_survives_the_operators_command(
    racers: tuple[Racer, Racer], ending: str
) -> None:
    stranger, operator = racers
    operator.ask("register", password(0))
    survived = []

    for number in range(20):
        _, jars = race(
            (operator, ending, *([password(number + 1)] if ending == "set_password" else [])),
            (stranger, "sign_in_often", password(number if ending == "set_password" else 0), SIGN_INS),
        )
        if ending == "disable_and_enable":
            operator.ask("disable_and_enable")  # also what was let in after the first time
        if stranger.ask("count_let_in", jars, []):
            survived.append(number)

    assert survived == []


@pytest.mark.parametrize("ending", ["set_password", "disable_and_enable", "revoke_all"])
def test_race_in_20_rounds_no_token_survives_the_revocation_of_all_logins(
    racers: tuple[Racer, Racer], ending: str
) -> None:
    owner, operator = racers
    operator.ask("register", password(0))
    current, made, survived = password(0), 0, []

    for number in range(20):
        assert owner.ask("sign_in", current) == 302
        _, tokens = race(
            (operator, ending, *([password(number + 1)] if ending == "set_password" else [])),
            (owner, "make_tokens", TOKENS),
        )
        made += len(tokens)
        current = password(number + 1) if ending == "set_password" else current
        if owner.ask("count_let_in", [], tokens):
            survived.append(number)

    assert made
    assert survived == []


def test_race_in_20_rounds_no_ended_token_is_revived_by_the_next_password_change(
    racers: tuple[Racer, Racer],
) -> None:
    owner, operator = racers
    operator.ask("register", password(0))
    revived = []

    for number in range(0, 40, 2):
        assert owner.ask("sign_in", password(number)) == 302
        _, tokens = race((operator, "set_password", password(number + 1)), (owner, "make_tokens", TOKENS))
        operator.ask("sign_in", password(number + 1))
        assert operator.ask("change_password", password(number + 1), password(number + 2)) == "/account"
        if owner.ask("count_let_in", [], tokens):
            revived.append(number)

    assert revived == []
