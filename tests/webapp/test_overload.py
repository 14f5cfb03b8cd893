"""More sign-ins than the cores can hash: some get 503, and other pages are unaffected."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from quart import Quart

from client import CHEAP, PASSWORD, Page, Visitor, add_user, guess
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hashing import Overloaded, PasswordHashing
from slow import mostly_slow
from waiting import eventually

PLACES = 32


class Slow(PasswordHashing):
    """Passwords that are looked at when the test says so."""

    def __init__(self) -> None:
        super().__init__(CHEAP, cores=1)
        self.go_on = threading.Event()
        self.at_once: list[int] = []
        self._running = 0
        self.most_taken = 0

    @contextmanager
    def reserve_slot(self) -> Iterator[None]:
        with super().reserve_slot():
            self.most_taken = max(self.most_taken, self._taken)
            yield

    def _check(self, *args: Any, **options: Any) -> Any:
        self._running += 1
        self.at_once.append(self._running)
        self.go_on.wait(60)
        self._running -= 1
        return super()._check(*args, **options)


@pytest.fixture
def slow(app: Quart) -> Iterator[Slow]:
    parts, slow = get_accounts(app), Slow()
    parts.passwords.hashing = slow
    yield slow
    slow.go_on.set()


async def flood(app: Quart, count: int, slow: Slow) -> list[Page]:
    """Many people sign in at once; the passwords are looked at when all of them wait or have been sent away."""

    async def sign_in(number: int) -> Page:
        return await Visitor(app.test_client()).sign_in(f"name{number}", "not the right password")

    pages = [asyncio.create_task(sign_in(number)) for number in range(count)]
    await eventually(lambda: sum(page.done() for page in pages) >= count - PLACES)
    slow.go_on.set()
    return await asyncio.gather(*pages)


@pytest.mark.requirement("2.4.1", "13.1.3", "13.2.6", "15.2.2")
async def test_overload_a_sign_in_that_would_wait_too_long_gets_503_and_retry_after(
    app: Quart, slow: Slow, database: str
) -> None:
    pages = await flood(app, 40, slow)

    sent_away = [page for page in pages if page.status == 503]
    assert sorted(page.status for page in pages) == [400] * PLACES + [503] * 8
    assert {page.headers["Retry-After"] for page in sent_away} == {"5"}
    assert "Too many" in sent_away[0].text
    assert max(slow.at_once) == 1
    # Those who were sent away are not counted as failures.
    assert run_sql(database, "SELECT count(*) FROM quartlogin_attempt_counters WHERE name LIKE 'name:%'") == [(PLACES,)]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == [(PLACES,)]


@pytest.mark.slow
@both_databases
@pytest.mark.requirement("2.4.1")
@pytest.mark.parametrize("limit", ["of the account", "of the address"])
async def test_rate_limit_150_rejected_attempts_do_not_block_another_sign_in(
    app: Quart, slow: Slow, limit: str, now: list[float]
) -> None:
    slow.go_on.set()
    await add_user(app, "Alice")
    others = [(await add_user(app, f"Bob {number}")).username for number in range(9)]
    names = ["Alice"] * 5 if limit == "of the account" else [f"name {number}" for number in range(50)]
    for name in names:
        await guess(app, name)

    flood = [asyncio.create_task(guess(app, "Alice")) for _ in range(150)]
    honest = [asyncio.create_task(guess(app, name, PASSWORD, address="198.51.100.7")) for name in others]

    assert {(await page).status for page in flood} == {429}
    assert {(await page).status for page in honest} == {302}
    assert slow.most_taken <= len(honest)


@both_databases
@pytest.mark.parametrize(
    "path", mostly_slow(["/register", "/reauthenticate", "/account/password", "/account/delete"], quick=2)
)
async def test_rejected_forms_with_a_password_take_no_slot(
    app: Quart, slow: Slow, path: str, new_visitor: Callable[[], Visitor], now: list[float]
) -> None:
    slow.go_on.set()
    alice = new_visitor()
    await alice.register("Alice")
    who = new_visitor() if path == "/register" else alice
    token = (await who.get(path)).token
    fields = {"csrf_token": token, "username": "Alice", "password": PASSWORD + "x", "current_password": PASSWORD + "x"}
    fields |= {"new_password": PASSWORD + " y"}
    while (await who.post(path, fields)).status != 429:
        pass
    slow.most_taken = 0

    flood = [asyncio.create_task(who.post(path, fields)) for _ in range(50)]

    assert {(await page).status for page in flood} == {429}
    assert slow.most_taken == 0


async def test_rate_limit_an_attempt_without_a_slot_is_not_counted(app: Quart, now: list[float], database: str) -> None:
    await add_user(app, "Alice")
    passwords = get_accounts(app).passwords.hashing
    for _ in range(7):
        now[0] += 60
        await guess(app)
    now[0] += 60
    before = run_sql(database, "SELECT * FROM quartlogin_attempt_counters ORDER BY name")

    passwords._taken = 10_000
    assert (await guess(app)).status == 503
    passwords._taken = 0

    assert run_sql(database, "SELECT * FROM quartlogin_attempt_counters ORDER BY name") == before
    assert (await guess(app, password=PASSWORD)).status == 302


async def test_username_enumeration_a_registration_without_a_slot_reveals_no_name(
    app: Quart, new_visitor: Callable[[], Visitor], database: str
) -> None:
    await add_user(app, "Alice")
    passwords = get_accounts(app).passwords.hashing
    passwords._taken = 10_000

    answers = [(await new_visitor().register(name)).status for name in ("Alice", "Bob")]

    assert answers == [503, 503]
    assert run_sql(database, "SELECT * FROM quartlogin_attempt_counters") == []


@pytest.mark.requirement("V18")
async def test_other_pages_go_on_and_afterwards_so_does_everything(app: Quart, slow: Slow) -> None:
    signed_in = Visitor(app.test_client())
    slow.go_on.set()
    await add_user(app, "Alice")
    await signed_in.sign_in("Alice")
    slow.go_on.clear()
    flooding = asyncio.create_task(flood(app, 40, slow))
    await eventually(lambda: slow._running)

    assert (await signed_in.get("/account")).status == 200
    assert (await Visitor(app.test_client()).get("/login")).status == 200
    await flooding
    assert (await Visitor(app.test_client()).sign_in("Alice")).status == 302


@pytest.mark.requirement("2.4.1")
@pytest.mark.parametrize("path", ["/register", "/reauthenticate", "/account/password", "/account/delete"])
async def test_overload_every_form_with_a_password_responds_503(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], path: str
) -> None:
    await visitor.register("Alice")
    passwords = get_accounts(app).passwords.hashing
    fields = {"username": "Bob", "password": PASSWORD, "current_password": PASSWORD, "new_password": PASSWORD + " x"}
    who = new_visitor() if path == "/register" else visitor
    passwords._taken = 10_000

    answer = await who.fill_in(path, **fields)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    passwords._taken = 0
    assert (await who.fill_in(path, **fields)).status == 302


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (4, 4), (5, 4), (64, 4)])
async def test_there_are_as_many_threads_as_cores_up_to_four(cores: int, threads: int) -> None:
    passwords = PasswordHashing(cores=cores)

    assert passwords.threads == passwords._pool._max_workers == threads
    passwords.close()


async def test_a_place_is_given_back_whatever_happens() -> None:
    passwords = PasswordHashing(CHEAP, cores=1)
    for _ in range(100):
        with pytest.raises(ValueError, match="anything"), passwords.reserve_slot():
            raise ValueError("anything")
    places = [passwords.reserve_slot() for _ in range(PLACES)]
    for place in places:
        place.__enter__()

    with pytest.raises(Overloaded), passwords.reserve_slot():
        pass

    for place in places:
        place.__exit__(None, None, None)
    passwords.close()
