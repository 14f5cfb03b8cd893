"""Username enumeration by timing: an unknown name costs what accounts cost, with the same distribution."""

from collections import Counter
from typing import Any

import pytest
from quart import Quart

from client import CHEAP, PASSWORD, add_user
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.cleanup import count_sets
from quartlogin.accounts.features.passwords.hash_parameters import TODAY, HashParameters, ParametersInUse
from quartlogin.accounts.features.passwords.old_schemes import OldParameters
from quartlogin.accounts.features.passwords.table import PasswordTable

KEY = b"the key of this test"
FOUR_LANES = TODAY._replace(lanes=4)
OLD = HashParameters("id", 19, 2, 16 * 1024, 1)
NAMES = [f"name{number}" for number in range(5000)]


def in_use(counts: dict[HashParameters, int], key: bytes = KEY) -> ParametersInUse:
    found = ParametersInUse(TODAY, key)
    found.learn(counts)
    return found


def draw_all(found: ParametersInUse) -> dict[str, HashParameters]:
    return {name: found.draw(name) for name in NAMES}


@pytest.mark.requirement("6.3.8", "C1")
def test_timing_without_accounts_every_name_costs_what_the_next_account_will() -> None:
    assert set(draw_all(ParametersInUse(TODAY, KEY)).values()) == {TODAY}
    assert set(draw_all(in_use({})).values()) == {TODAY}


@pytest.mark.requirement("6.3.8", "C1")
def test_timing_a_name_costs_the_same_each_time_in_every_process() -> None:
    counts = {TODAY: 10, FOUR_LANES: 30, OLD: 60}
    backwards = dict(reversed(counts.items()))

    assert draw_all(in_use(counts)) == draw_all(in_use(backwards))


@pytest.mark.requirement("6.3.8", "C1")
def test_timing_the_cost_of_a_name_is_unpredictable_without_the_key() -> None:
    one, other = (draw_all(in_use({TODAY: 1, OLD: 1}, key)) for key in (KEY, KEY + b"!"))

    same = sum(one[name] == other[name] for name in NAMES)
    assert abs(same - len(NAMES) / 2) < 5 * (len(NAMES) / 4) ** 0.5


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize(
    "counts",
    [
        {TODAY: 500, FOUR_LANES: 500},
        {TODAY: 10, FOUR_LANES: 900, OLD: 90},
        {FOUR_LANES: 999},
        {TODAY: 98, FOUR_LANES: 1, OLD: 1},
    ],
)
def test_timing_unknown_names_have_the_same_distribution_as_accounts(counts: dict[HashParameters, int]) -> None:
    drawn = Counter(draw_all(in_use(counts)).values())

    total = sum(counts.values())
    for parameters, count in counts.items():
        share = count / total
        spread = (len(NAMES) * share * (1 - share)) ** 0.5
        assert abs(drawn[parameters] - len(NAMES) * share) < 5 * spread + 5
    assert set(drawn) <= {TODAY, *counts}


@pytest.mark.requirement("6.3.8", "C1")
def test_timing_while_hashes_are_rehashed_an_unknown_name_moves_to_the_current_cost_once() -> None:
    last = draw_all(in_use({FOUR_LANES: 600, OLD: 400}))
    for renewed in range(1, 11):
        now = draw_all(in_use({TODAY: 100 * renewed, FOUR_LANES: 600 - 60 * renewed, OLD: 400 - 40 * renewed}))
        assert {(last[name], now[name]) for name in NAMES if last[name] != now[name]} <= {
            (FOUR_LANES, TODAY),
            (OLD, TODAY),
        }
        last = now

    assert set(last.values()) == {TODAY}


def test_timing_the_rarest_of_very_many_parameter_sets_are_left_out() -> None:
    counts = {TODAY._replace(passes=passes): 1000 - passes for passes in range(4, 500)}

    drawn = set(draw_all(in_use(counts)).values())

    assert 10 < len(drawn - {TODAY}) <= 32
    assert {parameters.passes for parameters in drawn} <= set(range(3, 40))


@both_databases
async def test_parameter_sets_are_counted_in_batches_by_primary_key(
    app: Quart, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        await add_user(app, f"user{number}")
    passwords = get_accounts(app).store.passwords
    stored = {
        "user0": FOUR_LANES.dummy_hash(),
        "user1": FOUR_LANES.dummy_hash(),
        "user2": OLD.dummy_hash(),
        "user3": OLD._replace(variant="i", version=16).dummy_hash(),
        "user4": TODAY._replace(passes=100, memory=1024 * 1024).dummy_hash(),
        "user5": "",
        "user6": "$2b$12$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab",
        "user7": "$" * 1000,
        "user8": CHEAP.hash(PASSWORD)[:40],
        "user9": f"scrypt:32768:8:1$a.b-c${'00' * 64}",
    }
    for name, password_hash in stored.items():
        run_sql(
            database,
            f"UPDATE quartlogin_passwords SET password_hash = '{password_hash}'"
            f" WHERE user_id = (SELECT id FROM quartlogin_users WHERE username = '{name}')",
        )
    batches: list[int] = []
    list_some = PasswordTable.list_hash_prefixes

    async def counted(users: PasswordTable, *args: Any) -> Any:
        found = await list_some(users, *args)
        batches.append(len(found[0]))
        return found

    monkeypatch.setattr(PasswordTable, "list_hash_prefixes", counted)

    counts = await count_sets(passwords, 10)

    cheap = HashParameters("id", 19, 1, 8, 1)
    scrypt, bcrypt = OldParameters("scrypt", "", (32768, 8, 1)), OldParameters("bcrypt", "b", (12,))
    of_argon2 = {FOUR_LANES: 2, OLD: 1, OLD._replace(variant="i", version=16): 1, cheap: 15}
    assert counts == {**of_argon2, scrypt: 1, bcrypt: 1}
    assert batches == [10, 10, 5, 0]
    batches.clear()
    assert sum((await count_sets(passwords, 5, at_most=10)).values()) <= 10
    assert batches == [5, 5]


@both_databases
@pytest.mark.requirement("6.3.8", "C1")
async def test_a_sample_is_counted_before_the_first_request(app: Quart, database: str) -> None:
    """A restart tells no more than the process before it: with nothing learned, unknown names would cost today's."""
    for number in range(4):
        await add_user(app, f"user{number}")
    run_sql(database, f"UPDATE quartlogin_passwords SET password_hash = '{OLD.dummy_hash()}'")
    passwords = get_accounts(app).passwords.hashing
    assert {passwords.in_use.draw(name) for name in NAMES} == {HashParameters("id", 19, 1, 8, 1)}

    await app.shutdown()
    await app.startup()

    drawn = Counter(passwords.in_use.draw(name) for name in NAMES)
    assert drawn[OLD] > len(NAMES) / 2
