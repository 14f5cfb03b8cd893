"""Replay of an ended login: it never becomes active again, whatever happens later.

Random sequences in which each operation uses what was read some time before; and rows that were never active, as an
older release or a fault may have left them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from random import Random
from secrets import token_hex

import pytest

from databases import both_databases, run_sql
from quartlogin import LoginRefused
from quartlogin.accounts.database.errors import Conflict
from quartlogin.accounts.database.interface import Transaction
from quartlogin.accounts.database.locking import lock_for
from quartlogin.accounts.database.models import ActingLogin, Event, Moment, NewLogin, NewUser, Seen, User
from quartlogin.accounts.store import Store, store_at
from quartlogin.accounts.users.own import OwnDirectory

ADA = User("a" * 22, "Ada")
IDLE = 600
#: What the loader asks, in words of the test's own.
COUNTING = """SELECT l.public_id FROM quartlogin_logins l, quartlogin_accounts u WHERE l.user_id = u.user_id
    AND u.disabled_at IS NULL AND u.security_stamp = l.security_stamp
    AND l.expires_at > {now} AND (l.kind <> 'session' OR l.seen_at > {now} - 600)"""


class Story:
    """One account, and what happens to its logins."""

    def __init__(self, store: Store, database: str, now: list[float], random: Random) -> None:
        self.store, self.database, self.now, self.random = store, database, now, random
        self.epochs = [0]  # each that was ever read
        self.dead: set[str] = set()
        self.told: list[str] = []
        self.written = 0

    # --- what is looked at after each step

    def public_ids(self) -> list[str]:
        return [
            public_id
            for (public_id,) in run_sql(self.database, "SELECT public_id FROM quartlogin_logins ORDER BY public_id")
        ]

    def look(self) -> None:
        counting = {public_id for (public_id,) in run_sql(self.database, COUNTING.format(now=int(self.now[0])))}
        assert not counting & self.dead, self.told
        self.dead |= {*self.public_ids()} - counting
        [(security_stamp,)] = run_sql(self.database, "SELECT security_stamp FROM quartlogin_accounts")
        self.epochs.append(security_stamp)

    # --- what it is done with

    def at(self) -> Moment:
        return Moment.present(IDLE)

    def event(self) -> Event:
        return Event(token_hex(14), "signed_in", ADA.id, int(self.now[0]), "", "")

    def a_login(self) -> tuple[str, str]:
        """The hash and the secrets of one that there is, or was."""
        rows = run_sql(self.database, "SELECT id_hash, secrets, public_id FROM quartlogin_logins ORDER BY public_id")
        alive = [row for row in rows if row[2] not in self.dead]
        return self.random.choice([*rows, *alive, *alive, *alive, ("gone", "")])[:2]

    def an_epoch(self) -> int:
        """One that was read: the present one, as a rule."""
        return self.random.choice([*self.epochs[-3:], *[self.epochs[-1]] * 3])

    def a_new_one(self) -> NewLogin:
        now, kind = int(self.now[0]), self.random.choice(["session", "bearer"])
        public_id, security_stamp = token_hex(8), self.an_epoch()
        expires_at = now + self.random.choice([100, 10_000, 100_000])
        return NewLogin(token_hex(32), public_id, ADA.id, kind, security_stamp, None, "a+1", now, expires_at, "", "")  # type: ignore[arg-type]

    # --- the steps

    async def wait(self) -> None:
        self.now[0] += self.random.choice([1, 60, 300, IDLE])

    async def begin(self) -> None:
        new = self.a_new_one()

        async def work(transaction: Transaction) -> None:
            await lock_for(transaction, ADA.id, None)
            await self.store.logins.insert(transaction, new)

        await self.store.database.transaction(work)
        assert new.public_id in {
            public_id for (public_id,) in run_sql(self.database, COUNTING.format(now=int(self.now[0])))
        }
        self.written += 1

    async def leave_behind(self) -> None:
        """A row of an earlier epoch, of nobody who could have written it today."""
        new = self.a_new_one()
        run_sql(
            self.database,
            "INSERT INTO quartlogin_logins"
            " (id_hash, public_id, user_id, kind, security_stamp, secrets, made_at, seen_at, expires_at, address,"
            f" browser) VALUES ('{new.id_hash}', '{new.public_id}', '{ADA.id}', '{new.kind}', {self.epochs[-1] - 1},"
            f" 'a+1', {new.made_at}, {new.made_at}, {new.expires_at}, '', '')",
        )

    async def visit(self) -> None:
        seen_at = int(self.now[0]) - self.random.choice([0, 60, IDLE])
        await self.store.logins.touch([Seen(self.a_login()[0], ADA.id, seen_at)], 1, self.at())

    async def replace_secrets(self) -> None:
        await self.store.logins.replace_secrets(*self.a_login(), "b+1", self.at(), event=self.event())

    async def renew(self, change: bool = False) -> None:
        old, new = self.a_login()[0], self.a_new_one()
        security_stamp = self.an_epoch()

        async def work(transaction: Transaction) -> None:
            await lock_for(transaction, ADA.id, ActingLogin(old, ADA.id, IDLE))
            if change:
                await self.store.logins.revoke_others(transaction, ADA.id, old, self.at())
                begun = await self.store.passwords.change(transaction, ADA.id, security_stamp, "hash", int(self.now[0]))
                if begun is None:
                    raise Conflict
                await self.store.logins.carry_over(transaction, ADA.id, security_stamp, begun)
            await self.store.logins.renew(transaction, old, replace(new, kind="session"), self.at())

        await self.store.database.transaction(work)
        self.written += 1

    async def change_password(self) -> None:
        await self.renew(change=True)

    async def set_password(self) -> None:
        await self.store.passwords.set(ADA.id, "hash", self.event())

    async def disable_or_enable(self) -> None:
        [(is_active,)] = run_sql(self.database, "SELECT disabled_at IS NULL FROM quartlogin_accounts")
        await self.store.accounts.set_enabled(ADA.id, self.event(), enabled=not is_active)

    async def end_others(self) -> None:
        by = ActingLogin(self.a_login()[0], ADA.id, IDLE)
        await self.store.logins.end_sessions(ADA.id, self.event(), self.at(), self.random.choice([by, None]))

    async def end(self) -> None:
        await self.store.logins.end(self.a_login()[0], self.event())

    async def tell(self, steps: int) -> None:
        often: list[Callable[[], Awaitable[None]]] = [self.begin, self.visit, self.change_password, self.leave_behind]
        seldom: list[Callable[[], Awaitable[None]]] = [self.renew, self.replace_secrets, self.wait, self.wait, self.end]
        all_steps = [*often * 4, *seldom * 2, self.set_password, self.disable_or_enable, self.end_others]
        for _ in range(steps):
            [(is_active,)] = run_sql(self.database, "SELECT disabled_at IS NULL FROM quartlogin_accounts")
            step = self.random.choice(all_steps if is_active else [self.begin, self.disable_or_enable])
            self.told.append(step.__name__)
            try:
                await step()
            except (Conflict, LoginRefused):
                self.told[-1] += " (refused)"
            self.look()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    store = store_at(database)
    await store.database.open()
    await store.users.add(NewUser(ADA, "ada", "hash"), Event("registered", "registered", ADA.id, 1, "", ""))
    yield store
    await store.database.close()


@pytest.mark.slow
@both_databases
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.requirement("7.4.1")
async def test_replay_a_login_that_has_ended_never_becomes_active_again(
    store: Store, database: str, now: list[float], seed: int
) -> None:
    story = Story(store, database, now, Random(seed))

    await story.tell(80)

    assert story.written > 5
    assert story.dead


# --- each statement by itself


REASONS = {
    "another security stamp": "UPDATE quartlogin_accounts SET security_stamp = security_stamp + 1",
    "disabled": "UPDATE quartlogin_accounts SET disabled_at = 1",
    "expired": "UPDATE quartlogin_logins SET expires_at = {now}",
    "idle": "UPDATE quartlogin_logins SET seen_at = {now} - 600",
}


@pytest.fixture
async def login(store: Store, now: list[float]) -> NewLogin:
    """Ada's one login, remembered."""
    made_at = int(now[0])
    login = NewLogin("hash", "ref", ADA.id, "session", 0, None, "a+1", made_at, made_at + 1000, "", "")
    await store.database.transaction(lambda transaction: store.logins.insert(transaction, login))
    return login


def in_transaction(store: Store, work: Callable[[Transaction], Awaitable[object]]) -> Awaitable[object]:
    return store.database.transaction(work)


STATEMENTS: dict[str, Callable[[Store, NewLogin, Moment], Awaitable[object]]] = {
    "visit": lambda store, login, at: store.logins.touch([Seen(login.id_hash, ADA.id, at.now + 99)], 1, at),
    "replace its secrets": lambda store, login, at: store.logins.replace_secrets(login.id_hash, "a+1", "b+1", at),
    "renew": lambda store, login, at: in_transaction(
        store, lambda transaction: store.logins.renew(transaction, login.id_hash, replace(login, id_hash="new"), at)
    ),
    "count": lambda store, _, at: in_transaction(
        store, lambda transaction: store.logins.count(transaction, ADA.id, "session", at)
    ),
    "find": lambda store, login, at: OwnDirectory(store).find_login(login.id_hash, ADA.id, *at),
    "find by a remember cookie": lambda store, login, at: store.logins.find_remembered(login.id_hash, at),
    "find its password": lambda store, login, _: store.passwords.find_of(ADA, ActingLogin(login.id_hash, ADA.id, IDLE)),
    "list": lambda store, _, at: store.logins.list_of(ADA.id, at),
}


@both_databases
@pytest.mark.parametrize("reason", REASONS)
async def test_no_statement_finds_extends_or_acts_for_an_ended_login(
    store: Store, database: str, login: NewLogin, reason: str
) -> None:
    at = Moment.present(IDLE)
    run_sql(database, REASONS[reason].format(now=at.now))
    before = run_sql(database, "SELECT * FROM quartlogin_logins")

    done = {name: await statement(store, login, at) for name, statement in STATEMENTS.items()}

    assert {name: result for name, result in done.items() if result} == {}
    assert run_sql(database, "SELECT * FROM quartlogin_logins") == before
    with pytest.raises(LoginRefused):
        await in_transaction(
            store, lambda transaction: lock_for(transaction, ADA.id, ActingLogin(login.id_hash, ADA.id, IDLE))
        )


@both_databases
async def test_each_of_these_statements_works_for_an_active_login(store: Store, database: str, login: NewLogin) -> None:
    at = Moment.present(IDLE)
    order = [name for name in STATEMENTS if name != "renew"]

    done = {name: await STATEMENTS[name](store, login, at) for name in order}
    [seen_at] = [row[0] for row in run_sql(database, "SELECT seen_at FROM quartlogin_logins")]
    done["renew"] = await STATEMENTS["renew"](store, login, at)

    assert [name for name, result in done.items() if not result] == ["visit"]  # which returns nothing
    assert seen_at == at.now + 99
    assert run_sql(database, "SELECT id_hash, secrets FROM quartlogin_logins") == [("new", "a+1")]


@both_databases
@pytest.mark.parametrize("reason", ["another security stamp", "disabled"])
async def test_race_an_account_that_changed_meanwhile_accepts_neither_login_nor_password(
    store: Store, database: str, login: NewLogin, reason: str
) -> None:
    run_sql(database, REASONS[reason])
    new = replace(login, id_hash="new", public_id="new")

    with pytest.raises(Conflict):
        await in_transaction(store, lambda transaction: store.logins.insert(transaction, new))
    changed = await in_transaction(
        store, lambda transaction: store.passwords.change(transaction, ADA.id, 0, "new hash", 1)
    )

    assert changed is None
    assert run_sql(database, "SELECT password_hash FROM quartlogin_passwords") == [("hash",)]


@both_databases
async def test_race_an_account_is_deleted_only_with_the_password_that_was_verified(
    store: Store, database: str, login: NewLogin
) -> None:
    run_sql(database, REASONS["another security stamp"])

    assert await store.users.delete(ADA.id, 0) is None
    assert run_sql(database, "SELECT id FROM quartlogin_users") == [(ADA.id,)]


@both_databases
async def test_a_login_is_renewed_only_for_its_own_user(store: Store, login: NewLogin) -> None:
    of_grace = replace(login, id_hash="new", user_id="G" * 22)
    at = Moment.present(IDLE)

    assert not await in_transaction(
        store, lambda transaction: store.logins.renew(transaction, login.id_hash, of_grace, at)
    )


@both_databases
async def test_only_logins_of_the_epoch_before_are_carried_over(store: Store, database: str, login: NewLogin) -> None:
    run_sql(database, "UPDATE quartlogin_logins SET security_stamp = 3")

    await in_transaction(store, lambda transaction: store.logins.carry_over(transaction, ADA.id, 4, 5))

    assert run_sql(database, "SELECT security_stamp FROM quartlogin_logins") == [(3,)]
