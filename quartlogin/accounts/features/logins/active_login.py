"""The user loader's query: find active logins and their users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...database.active_logins import is_active_sql
from ...database.interface import Database, Row
from ...database.models import AccountLogin, ActiveLogin, LoginOfUser, User

MAX_QUESTIONS: Final = 64
#: The numbers of logins for which there are statements: few, so that each is prepared once.
_SIZES: Final = (1, 4, 16, 32, MAX_QUESTIONS)
#: The size of the statement for each number of logins.
_SIZE_FOR: Final = [next(size for size in _SIZES if size >= number) for number in range(MAX_QUESTIONS + 1)]
_FIND: Final = {
    size: (
        "SELECT l.id_hash, l.user_id, u.username, l.public_id, a.security_stamp, a.must_change_password,"  # noqa: S608 -- numbers only
        " l.seen_at, l.secrets, l.proofs FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"
        " JOIN quartlogin_users u ON u.id = l.user_id"
        f" WHERE l.id_hash IN ({', '.join(f'${number + 3}' for number in range(size))})"
        f" AND {is_active_sql('$1', '$2')}"
    )
    for size in _SIZES
}
#: The same for users of an app, which are found by the app.
_FIND_ALONE: Final = {
    size: (
        "SELECT l.id_hash, l.user_id, a.stamp, l.public_id, a.security_stamp, a.must_change_password,"  # noqa: S608 -- numbers only
        " l.seen_at, l.secrets, l.proofs FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"
        f" WHERE l.id_hash IN ({', '.join(f'${number + 3}' for number in range(size))})"
        f" AND {is_active_sql('$1', '$2')}"
    )
    for size in _SIZES
}


@dataclass(eq=False, slots=True)
class Question:
    """The query of one request, with the arguments of `Logins.find`.

    Each is a separate key, so one statement can answer several requests of one login: the results are immutable.
    """

    id_hash: str
    user_id: str
    now: int
    idle_since: int


async def find_all(database: Database, questions: Sequence[Question]) -> dict[Question, ActiveLogin]:
    """Find the users of active logins, in one statement and one round trip.

    Args:
        database: The database.
        questions: At most `MAX_QUESTIONS`.

    Returns:
        The result for each question, without those whose login is not active or is another user's.
    """
    rows = await _rows(database, _FIND, questions)
    return {one: _with_user(row) for one in questions if (row := rows.get(one.id_hash)) and row[1] == one.user_id}


async def find_all_alone(database: Database, questions: Sequence[Question]) -> dict[Question, LoginOfUser]:
    """Find active logins without their users, as `find_all` does."""
    rows = await _rows(database, _FIND_ALONE, questions)
    return {one: _alone(row) for one in questions if (row := rows.get(one.id_hash)) and row[1] == one.user_id}


async def _rows(database: Database, statements: Mapping[int, str], questions: Sequence[Question]) -> dict[str, Row]:
    """Return the rows of the active logins, by the hashes of their ids; a login may be another user's than asked."""
    size = _SIZE_FOR[len(questions)]
    id_hashes = [question.id_hash for question in questions]
    padding = id_hashes[:1] * (size - len(questions))
    last = questions[-1]  # a request from a second earlier is answered as of now, too
    rows = await database.read(statements[size], last.now, last.idle_since, *id_hashes, *padding)
    return {row[0]: row for row in rows}


def _with_user(row: Row) -> ActiveLogin:
    _, user_id, username, public_id, security_stamp, must_change, seen_at, secrets, proofs = row
    login = AccountLogin(user_id, public_id, security_stamp, bool(must_change), proofs)
    return ActiveLogin(User(user_id, username), login, seen_at, secrets)


def _alone(row: Row) -> LoginOfUser:
    _, user_id, stamp, public_id, security_stamp, must_change, seen_at, secrets, proofs = row
    login = AccountLogin(user_id, public_id, security_stamp, bool(must_change), proofs)
    return LoginOfUser(stamp, login, seen_at, secrets)
