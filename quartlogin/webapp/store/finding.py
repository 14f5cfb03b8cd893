"""The statement of the user loader: which of some logins count, and whose they are."""

from collections.abc import Sequence
from typing import Final

from .counting import counts
from .database import Database, Row
from .rows import FoundLogin, User

#: The hash of a login's id, the id of its user, and the times that `Logins.find` takes.
Question = tuple[str, str, int, int]

MOST_QUESTIONS: Final = 64
#: For how many logins there are statements: few, so that each is prepared once.
_SIZES: Final = (1, 4, 16, 32, MOST_QUESTIONS)
_FIND: Final = {
    size: (
        "SELECT l.id_hash, l.user_id, u.username, u.epoch, u.must_change_password, l.ref, l.seen_at, l.secrets"  # noqa: S608 -- numbers only
        " FROM logins l JOIN users u ON u.id = l.user_id"
        f" WHERE l.id_hash IN ({', '.join(f'${number + 3}' for number in range(size))})"
        f" AND {counts('$1', '$2')}"
    )
    for size in _SIZES
}


async def find_all(database: Database, questions: Sequence[Question]) -> list[FoundLogin | None]:
    """Find the users of some logins that count: one statement, one trip to the database.

    Args:
        database: Where to ask.
        questions: At most `MOST_QUESTIONS`.

    Returns:
        For each question what was found, `None` for a login that does not count or is another user's.
    """
    size = next(size for size in _SIZES if size >= len(questions))
    id_hashes, user_ids, times, idle_times = zip(*questions, strict=True)
    padding = id_hashes[:1] * (size - len(questions))
    # Who asked a second earlier is answered as of now, too.
    rows = await database.read(_FIND[size], max(times), max(idle_times), *id_hashes, *padding)
    found = {row[0]: row for row in rows}
    return [_found(found.get(id_hash), user_id) for id_hash, user_id in zip(id_hashes, user_ids, strict=True)]


def _found(row: Row | None, user_id: str) -> FoundLogin | None:
    """Make what was found, if it is this user's."""
    if row is None or row[1] != user_id:
        return None
    _, _, username, epoch, must_change, ref, seen_at, secrets = row
    return FoundLogin(User(user_id, username, epoch, ref, bool(must_change)), seen_at, secrets)
