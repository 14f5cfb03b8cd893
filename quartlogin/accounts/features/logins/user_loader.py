"""The user loader: finds the login of this request and its user, if the login is active."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from logging import getLogger
from typing import Any, Final, Generic, TypeVar

from quart import has_request_context, request

from quartlogin import BatchLoader, login_id, login_secret_hash, tracing

from ...audit.login_steps import record_of
from ...context import keep_login
from ...database.active_logins import is_active_sql
from ...database.errors import Conflict, StoreUnavailable
from ...database.interface import Database, Row
from ...database.models import AccountLogin, ActiveLogin, LoginOfUser, Moment, Seen, User
from ...store import Store
from ...users.directory import Directory
from .inactive import reason_of_inactivity
from .remember_rotation import RememberTokens

#: The audience of the stand-alone application, which stored hashes of the ids alone before there were audiences.
APPLICATION: Final = "quartlogin.webapp"
#: The header of background requests of a page's script, which the user did not cause.
BACKGROUND_HEADER: Final = "Quartlogin-Background"

T = TypeVar("T")

_MAX_QUESTIONS: Final = 64
#: The numbers of logins for which there are statements: few, so that each is prepared once.
_SIZES: Final = (1, 4, 16, 32, _MAX_QUESTIONS)
#: The size of the statement for each number of logins.
_SIZE_FOR: Final = [next(size for size in _SIZES if size >= number) for number in range(_MAX_QUESTIONS + 1)]

#: Seconds by which a last-seen time may lag behind.
RESOLUTION: Final = 60

_log = getLogger(__name__)


class UserLoader:
    """Finds the user of a request, and notes that the login was seen.

    Args:
        store: The database.
        directory: The users.
        audience: The app, or the apps, whose logins count here.
        idle: How long an unused sign-in stays active.
        stand_in: Returns the user to show in this request instead of one who must change the password first; `None` for
            that user.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        audience: str,
        idle: timedelta,
        stand_in: Callable[[], Any] = lambda: None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._audience = audience
        self._stand_in = stand_in
        self._idle = int(idle.total_seconds())
        #: Writes the last-seen times.
        self.last_seen = LastSeen(store, self._idle)

    async def find(self, user_id: str) -> Any:
        """Find the user of this request's login, in one statement; `None` if the login is not active.

        Args:
            user_id: From a cookie or a token. An id that no user can have is not queried.
        """
        found = await self.find_login(user_id)
        if found is None:
            keep_login(None)
            return None
        if found.login.must_change_password and (other := self._stand_in()) is not None:
            keep_login(None)
            return other  # not `None`, at which the extension would delete the remember cookie of an ended login
        keep_login(found.login)
        return found.user

    async def find_login(self, user_id: str) -> ActiveLogin | None:
        """Find this request's login and its user; `None` if it is not active."""
        login = login_id()
        if login is None or not self._directory.is_possible_id(user_id):
            return None
        now, id_hash = int(time.time()), digest(login, self._audience)
        found = await self._directory.find_login(id_hash, user_id, now, now - self._idle)
        if found is None:
            if tracing.listeners:
                reason = await reason_of_inactivity(self._store.database, id_hash, user_id, now, now - self._idle)
                _tell("ended or unknown", login, id_hash, reason)
            return None
        if found.secrets and not await self._has_valid_secret(id_hash, found.secrets, now):
            if tracing.listeners:
                _tell("secret of an earlier remember cookie", login, id_hash)
            return None
        if tracing.listeners:
            _tell("active", login, id_hash)
        if is_due(found.seen_at, now) and _is_visit():
            self.last_seen.note(id_hash, user_id, found.seen_at, now)
        return found

    async def _has_valid_secret(self, id_hash: str, stored: str, now: int) -> bool:
        """Tell whether the remember-me secret of this session is valid, if it has one."""
        secret = login_secret_hash()
        if secret is None:
            return True
        secrets = RememberTokens.read(stored, now)
        settled = secrets.after_seeing(secret, now)
        at = Moment(now, now - self._idle)
        if settled is not None and not await self._store.logins.replace_secrets(id_hash, stored, settled.write(), at):
            found = await self._store.logins.find_remembered(id_hash, at)  # another request was faster
            secrets = RememberTokens.read("" if found is None else found.secrets, now)
        return secrets.is_valid(secret)


def digest(login_id: str, audience: str) -> str:
    """Return the hash under which a login is stored; its id is random, so a plain hash is enough.

    Args:
        login_id: The login's id.
        audience: Whose login it is. An app with another audience computes another hash and finds no login, even if it
            has the same database and key, and so reads the same session cookie (ASVS 5.0 9.2.3).
    """
    if audience == APPLICATION:
        return sha256(login_id.encode()).hexdigest()
    return hmac.digest(audience.encode(), login_id.encode(), "sha256").hex()


@dataclass(eq=False, slots=True)
class Question:
    """The query of one request, with the arguments of `Logins.find`.

    Each is a separate key, so one statement can answer several requests of one login: the results are immutable.
    """

    id_hash: str
    user_id: str
    now: int
    idle_since: int


class LoginFinder(Generic[T]):
    """Finds active logins: in one statement and one round trip for all requests that wait.

    Args:
        database: The database.
        make: Makes the result from a row: the hash of the id, the user's id, the public id, the security stamp, whether
            the password must be changed, when it was last seen, its secrets, its proofs, and the columns below.
        columns: Further columns, as SQL: of the account `a`, or of a joined table.
        join: The SQL that joins that table.
    """

    def __init__(self, database: Database, make: Callable[[Row], T], columns: str, join: str = "") -> None:
        self._database = database
        self._make = make
        self._statements = {size: _select(columns, join, size) for size in _SIZES}
        self._waiting: BatchLoader[Question, T] = BatchLoader(
            self._find_all, concurrency=database.reads_at_once, max_size=_MAX_QUESTIONS
        )

    def find(self, id_hash: str, user_id: str, now: int, idle_since: int) -> Awaitable[T | None]:
        """Find an active login, with the arguments of `Logins.find`."""
        return self._waiting.load(Question(id_hash, user_id, now, idle_since))

    async def _find_all(self, questions: Sequence[Question]) -> dict[Question, T]:
        """Find the active logins among some; one that is another user's than asked is not found."""
        size = _SIZE_FOR[len(questions)]
        id_hashes = [question.id_hash for question in questions]
        padding = id_hashes[:1] * (size - len(questions))
        last = questions[-1]  # a request from a second earlier is answered as of now, too
        found = await self._database.read(self._statements[size], last.now, last.idle_since, *id_hashes, *padding)
        rows = {row[0]: row for row in found}
        return {one: self._make(row) for one in questions if (row := rows.get(one.id_hash)) and row[1] == one.user_id}


def find_with_user(database: Database) -> LoginFinder[ActiveLogin]:
    """Find logins together with their users, in an app that has no users table."""
    return LoginFinder(database, _with_user, "u.username", "JOIN quartlogin_users u ON u.id = l.user_id")


def find_alone(database: Database) -> LoginFinder[LoginOfUser]:
    """Find logins without their users, whom the app finds."""
    return LoginFinder(database, login_of_user, "a.stamp")


def login_of_user(row: Row) -> LoginOfUser:
    """Make a login from a row whose further column is the account's stamp; what follows it is left out."""
    _, user_id, public_id, security_stamp, must_change, seen_at, secrets, proofs, stamp, *_ = row
    login = AccountLogin(user_id, public_id, security_stamp, bool(must_change), proofs)
    return LoginOfUser(stamp, login, seen_at, secrets)


def is_due(seen_at: int, now: int) -> bool:
    """Tell whether a last-seen time is outdated for a login that is seen now; both in seconds since 1970."""
    return now - seen_at >= RESOLUTION


class LastSeen:
    """Collects the logins that were seen, and writes them in the background, all that are waiting at once.

    Args:
        store: The database.
        idle: Seconds after which an unused sign-in is no longer active.
    """

    def __init__(self, store: Store, idle: int) -> None:
        self._store = store
        self._idle = idle
        self._waiting: dict[str, Seen] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, id_hash: str, user_id: str, seen_at: int, now: int) -> None:
        """Schedule a login's last-seen time to be written, unless it was written less than a minute ago.

        Args:
            id_hash: The hash of the login's id.
            user_id: The login's user.
            seen_at: The last-seen time as stored: seconds since 1970.
            now: Seconds since 1970.
        """
        if not is_due(seen_at, now) or id_hash in self._waiting:
            return
        self._waiting[id_hash] = Seen(id_hash, user_id, now)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def flush(self) -> None:
        """Wait until all times are written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._waiting:
            batch = dict(self._waiting)  # they stay in the queue until written, so that no one adds them again
            try:
                await self._store.logins.touch(batch.values(), RESOLUTION, Moment.present(self._idle))
            except (StoreUnavailable, Conflict) as error:
                _log.warning("Could not update last-seen times: %s", error)
            except Exception:  # the others in the queue are written all the same
                _log.exception("Could not update last-seen times.")
            for id_hash in batch:
                del self._waiting[id_hash]


def _tell(outcome: str, login: str, id_hash: str, reason: str | None = None) -> None:
    label, record = tracing.label_of(login), record_of(id_hash)
    tracing.tell("login_row", outcome=outcome, login=label, record=record, reason=reason)


def _is_visit() -> bool:
    """Tell whether a user caused this request; an open page alone does not keep a login alive."""
    return has_request_context() and not request.headers.getlist(BACKGROUND_HEADER)  # `in` takes twice as long


def _with_user(row: Row) -> ActiveLogin:
    _, user_id, public_id, security_stamp, must_change, seen_at, secrets, proofs, username = row
    login = AccountLogin(user_id, public_id, security_stamp, bool(must_change), proofs)
    return ActiveLogin(User(user_id, username), login, seen_at, secrets)


def _select(columns: str, join: str, size: int) -> str:
    return (
        "SELECT l.id_hash, l.user_id, l.public_id, a.security_stamp, a.must_change_password, l.seen_at, l.secrets,"  # noqa: S608 -- constants, and names that `UserColumns` checks
        f" l.proofs, {columns} FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id {join}"
        f" WHERE l.id_hash IN ({', '.join(f'${number + 3}' for number in range(size))})"
        f" AND {is_active_sql('$1', '$2')}"
    )
