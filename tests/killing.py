"""Kills the process of an app at any moment, and checks what is left of its users and their accounts.

The app has users of its own, which it commits separately from the accounts. Whatever is killed when: there are never
two users of a name, never one whom nobody can enter, and never one whom a stranger can enter.

Run as a program, this file kills as often as it is told, and prints the counts:

    python tests/killing.py --kills 500 --seed 1
"""

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from client import NEW_PASSWORD, PASSWORD, WRONG
from databases import run_sql
from killable import Browser, Processes, processes
from killed_app import KILLED_AT

#: Seconds by which what was begun is made older: nothing that began before can still be running.
LATER = 1000
HOURS = 10_000
#: Seconds within which a process is killed at random: most requests take less.
SPREAD = 0.1


@dataclass
class Killing:
    """Kills, and checks."""

    folder: Path
    accounts: str
    people: str
    processes: Processes
    random: random.Random
    #: How often a process was killed at a point, and what happened to the user.
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    number: int = 0

    # --- what is killed

    def at_every_point(self, kind: str, left_out: str = "$.") -> None:
        """Kill requests of one kind at each of the points that they pass.

        Args:
            kind: One of `kinds`.
            left_out: A pattern of the names of points at which none is killed.
        """
        points = self.at(kind, "")
        assert points
        for number, point in enumerate(points, 1):
            if not re.search(left_out, point):
                self.at(kind, str(number))

    def at(self, kind: str, point: str) -> list[str]:
        """Kill a request of a kind at a point; return the points that it passed, if it was not killed."""
        prepare, act, check = self._kinds()[kind]
        name, browser = self._new(), Browser(self.processes.url)
        self._start()
        prepare(name, browser)
        (self.folder / KILLED_AT).write_text("")
        answer = act(name, browser, point)
        killed_at = (self.folder / KILLED_AT).read_text()
        assert bool(killed_at) is (answer is None)
        if answer is None:
            self._restart()
        outcome = check(name, browser, answer)
        self.counts[f"{kind}: {killed_at or 'not killed'}", outcome] += 1
        browser.close()
        return [] if answer is None else answer.headers["Points"].split(", ")

    def somewhere(self) -> None:
        """Kill something after a random time."""
        self.random.choice([self.race, self.race_for_an_id, *(partial(self.at_random, kind) for kind in self.kinds)])()

    def at_random(self, kind: str) -> None:
        """Kill a request of a kind after a random time."""
        prepare, act, check = self._kinds()[kind]
        name, browser = self._new(), Browser(self.processes.url)
        self._start()
        prepare(name, browser)
        [answer] = self._kill_during(lambda: act(name, browser, ""))
        outcome = check(name, browser, answer)
        self.counts[f"{kind}: at random", outcome] += 1
        browser.close()

    def race(self, people: int = 4) -> None:
        """Let several people register with one name in two processes, of which one or both are killed."""
        name = self._new()
        passwords = [f"the password of visitor {number}" for number in range(people)]
        self._start()
        self.processes.start()
        browsers = [Browser(self.processes.url) for _ in passwords]
        acts = [
            partial(browser.register, name, password) for browser, password in zip(browsers, passwords, strict=True)
        ]
        answers = self._kill_during(*acts)
        if self.random.random() < 0.5:
            self._clean()
        winners = [
            password
            for password, answer in zip(passwords, answers, strict=True)
            if answer is not None and answer.status_code == httpx.codes.FOUND
        ]
        entering = [password for password in passwords if self._enters(name, password)]
        exists = self._count(name) == 1
        assert set(winners) <= set(entering), (winners, entering)
        assert len(entering) == exists, (entering, exists)
        if not exists:
            assert self._some_register(name, passwords)
        self._check_one(name)
        self.counts["race of four registrations in two processes: at random", "one has it" if exists else "free"] += 1
        for browser in browsers:
            browser.close()

    def race_for_an_id(self) -> None:
        """Let someone delete the account while two others register in two processes, and get the id."""
        names = [self._new() for _ in range(3)]
        browsers = [Browser(self.processes.url) for _ in names]
        self._start()
        _register_first(names[0], browsers[0])
        self.processes.start()
        registering = [partial(browsers[number].register, names[number]) for number in (1, 2)]
        answers = self._kill_during(browsers[0].delete, *registering)
        checks = [self._check_deleted, self._check_registered, self._check_registered]
        for number in self.random.sample(range(3), 3):
            outcome = checks[number](names[number], browsers[number], answers[number])
            what = "registration during a deletion" if number else "deletion during two registrations"
            self.counts[f"{what}: at random", outcome] += 1
            browsers[number].close()

    def _kill_during(self, *acts: Callable[[], httpx.Response | None]) -> list[httpx.Response | None]:
        """Do something, at the same time, and kill some of the processes after a random time; start one again."""
        with ThreadPoolExecutor(len(acts)) as threads:
            acting = [threads.submit(act) for act in acts]
            time.sleep(self.random.random() * SPREAD)
            some = self.random.randint(1, len(self.processes.running))
            for process in self.random.sample(self.processes.running, some):
                self.processes.kill(process)
            self.processes.start()  # for requests that come later
            answers = [each.result() for each in acting]
        self._restart()
        return answers

    # --- kinds of requests, each with what comes before and what must be true afterwards

    def _kinds(self) -> "dict[str, tuple[_Prepare, _Act, _Check]]":
        return {
            "register": (_nothing, _register, self._check_registered),
            "register again": (self._interrupted("before create"), _register, self._check_registered),
            "sign in after a killed registration": (
                self._interrupted("after create"),
                lambda name, browser, point: browser.sign_in(name, kill_at=point),
                self._check_registered,
            ),
            "clean up after a killed registration": (
                self._interrupted("after create", HOURS),
                lambda name, browser, point: browser.get("/clean", point),
                self._check_settled,
            ),
            "change the password": (
                _register_first,
                lambda name, browser, point: browser.change_password(point),
                self._check_changed,
            ),
            "delete": (
                _register_first,
                lambda name, browser, point: browser.delete(point),
                self._check_deleted,
            ),
            "clean up after a deletion that was killed before": (
                self._interrupted_deletion("before delete"),
                lambda name, browser, point: browser.get("/clean", point),
                self._check_deleted,
            ),
            "clean up after a deletion that was killed after": (
                self._interrupted_deletion("after delete"),
                lambda name, browser, point: browser.get("/clean", point),
                self._check_deleted,
            ),
        }

    @property
    def kinds(self) -> list[str]:
        return [*self._kinds()]

    def _interrupted(self, point: str, seconds_ago: int = LATER) -> "_Prepare":
        def prepare(name: str, browser: Browser) -> None:
            assert browser.register(name, kill_at=point) is None
            self._restart(seconds_ago)

        return prepare

    def _interrupted_deletion(self, point: str) -> "_Prepare":
        def prepare(name: str, browser: Browser) -> None:
            _register_first(name, browser)
            assert browser.delete(kill_at=point) is None
            self._restart()

        return prepare

    def _check_registered(self, name: str, browser: Browser, answer: httpx.Response | None) -> str:
        if self.random.random() < 0.5:
            self._clean()
        is_done = answer is not None and browser.who() == name
        exists = self._count(name) == 1
        assert not self._enters(name, WRONG)
        if exists or self._has_begun(name):
            assert not self._some_register(name, [WRONG])
        if self._enters(name, PASSWORD):
            outcome = "signed in" if not is_done else "was signed in already"
        else:
            assert not is_done
            assert not exists
            assert self._some_register(name, [PASSWORD])
            outcome = "registered again"
        self._check_one(name)
        assert not self._enters(name, WRONG)
        return outcome

    def _check_settled(self, name: str, browser: Browser, answer: httpx.Response | None) -> str:
        self._clean()  # a registration that is older than an hour lets nobody in before
        return self._check_registered(name, browser, answer)

    def _check_changed(self, name: str, _: Browser, answer: httpx.Response | None) -> str:
        old, new = self._enters(name, PASSWORD), self._enters(name, NEW_PASSWORD)
        assert old is not new
        assert new or answer is None
        assert not self._enters(name, WRONG)
        self._check_one(name)
        return "new password" if new else "old password"

    def _check_deleted(self, name: str, browser: Browser, _: httpx.Response | None) -> str:
        exists = self._count(name) == 1
        if not exists:
            self._check_successor(browser)
        self._clean()
        assert self._enters(name, PASSWORD) is exists
        assert not self._enters(name, WRONG)
        if exists:
            self._check_one(name)
            return "kept"
        assert self._some_register(name, [NEW_PASSWORD])
        assert not self._enters(name, PASSWORD)
        self._check_one(name)
        return "deleted"

    def _check_successor(self, browser: Browser) -> None:
        """Check that the next user, who may get the id of a deleted one, gets nothing else; sometimes killed, too."""
        successor = self._new()
        is_killed = self.random.random() < 0.5
        other = Browser(self.processes.url)
        assert (other.register(successor, NEW_PASSWORD, "after create" if is_killed else "") is None) is is_killed
        other.close()
        if is_killed:
            self._restart()
        if self.random.random() < 0.5:
            self._clean()
        assert browser.who() == ""
        assert not self._enters(successor, PASSWORD)
        assert self._enters(successor, NEW_PASSWORD)
        self._check_one(successor)

    # --- looking

    def _check_one(self, name: str) -> None:
        """Check that a name has one user with one account, and that no other account is without a user."""
        [(number,)] = run_sql(self.people, f"SELECT number FROM people WHERE name = '{name}'")
        for table in ("accounts", "passwords"):
            statement = f"SELECT count(*) FROM quartlogin_{table} WHERE user_id = '{number}'"
            assert run_sql(self.accounts, statement) == [(1,)], table
        assert not self._has_begun(name)

    def _count(self, name: str) -> int:
        [(count,)] = run_sql(self.people, f"SELECT count(*) FROM people WHERE name = '{name}'")
        assert count <= 1
        return int(count)

    def _has_begun(self, name: str) -> bool:
        return run_sql(self.accounts, f"SELECT 1 FROM quartlogin_registrations WHERE username_key = '{name}'") != []

    def _enters(self, name: str, password: str) -> bool:
        browser = Browser(self.processes.url)
        browser.sign_in(name, password)
        who = browser.who()
        browser.close()
        assert who in {"", name}
        return who == name

    def _some_register(self, name: str, passwords: list[str]) -> bool:
        """Register with the first of these passwords that is let in; return False if none is."""
        for password in passwords:
            browser = Browser(self.processes.url)
            browser.register(name, password)
            who = browser.who()
            browser.close()
            if who == name:
                return True
        return False

    # --- processes

    def _new(self) -> str:
        self.number += 1
        return f"user {self.number}"

    def _start(self) -> None:
        if not self.processes.running:
            self.processes.start()

    def _restart(self, seconds_ago: int = LATER) -> None:
        """Start again after a kill, a while later."""
        self.processes.end()
        run_sql(self.accounts, f"UPDATE quartlogin_registrations SET created_at = created_at - {seconds_ago}")
        run_sql(self.accounts, f"UPDATE quartlogin_accounts SET deleting_at = deleting_at - {seconds_ago}")
        self.processes.start()

    def _clean(self) -> None:
        browser = Browser(self.processes.url)
        assert browser.get("/clean") is not None
        browser.close()


_Prepare = Callable[[str, Browser], None]
_Act = Callable[[str, Browser, str], httpx.Response | None]
_Check = Callable[[str, Browser, httpx.Response | None], str]


def _nothing(_: str, __: Browser) -> None: ...


def _register(name: str, browser: Browser, kill_at: str) -> httpx.Response | None:
    return browser.register(name, kill_at=kill_at)


def _register_first(name: str, browser: Browser) -> None:
    answer = browser.register(name)
    assert answer is not None
    assert answer.status_code == httpx.codes.FOUND, answer.text


@contextmanager
def killing(folder: Path, accounts: str, people: str, seed: int) -> Iterator[Killing]:
    """Be ready to kill; the app's table is created in the database of its users.

    Args:
        folder: An empty folder.
        accounts: The database of the accounts.
        people: The database of the users, which may be the same.
        seed: Of what is random.
    """
    key = "INTEGER PRIMARY KEY" if "://" not in people else "SERIAL PRIMARY KEY"
    run_sql(people, f"CREATE TABLE people (number {key}, name TEXT NOT NULL UNIQUE)")
    if "://" not in people:
        Path(people).chmod(0o600)
    with processes(folder, accounts, people) as ready:
        yield Killing(folder, accounts, people, ready, random.Random(seed))


def table_of(counts: Counter[tuple[str, str]]) -> str:
    """Return the counts as lines: where, how often, and what happened."""
    places = sorted({place for place, _ in counts})
    lines = []
    for place in places:
        outcomes = {outcome: count for (where, outcome), count in sorted(counts.items()) if where == place}
        text = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items())
        lines.append(f"{sum(outcomes.values()):5} {place}: {text}")
    return "\n".join([*lines, f"{counts.total():5} in all"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500, help="how many, after those at each point")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is random")
    parser.add_argument("--accounts", help="a database without tables of ours; a new file without it")
    parser.add_argument("--people", help="a database without a table `people`; that of the accounts without it")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        accounts = arguments.accounts or str(folder / "app.sqlite3")
        with killing(folder, accounts, arguments.people or accounts, arguments.seed) as killer:
            for kind in killer.kinds:
                killer.at_every_point(kind)
            for _ in range(arguments.kills):
                killer.somewhere()
        sys.stdout.write(f"seed {arguments.seed}\n{table_of(killer.counts)}\n")


if __name__ == "__main__":
    main()
