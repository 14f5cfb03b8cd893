"""The user loader's query: find active logins and their users."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from quartlogin import BatchLoader

from ...database.active_logins import is_active_sql
from ...database.interface import Database, Row
from ...database.models import AccountLogin, ActiveLogin, LoginOfUser, User

T = TypeVar("T")

_MAX_QUESTIONS: Final = 64
#: The numbers of logins for which there are statements: few, so that each is prepared once.
_SIZES: Final = (1, 4, 16, 32, _MAX_QUESTIONS)
#: The size of the statement for each number of logins.
_SIZE_FOR: Final = [next(size for size in _SIZES if size >= number) for number in range(_MAX_QUESTIONS + 1)]


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
