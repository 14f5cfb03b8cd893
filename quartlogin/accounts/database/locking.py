"""The account's row is locked first, by every transaction of more than one statement.

- No two transactions wait for each other.
- PostgreSQL shows each statement what was committed before it began (READ COMMITTED), so two statements of one
  transaction may see two states. Those behind the lock see one: who else changes this account waits, or has committed.
- A change on behalf of a login is checked where it is written: that login must count behind the lock. A guard looks
  earlier, before the body of the request has arrived.

To write an event is to lock the row too, less strictly: nobody can delete the user meanwhile. SQLite has one writer,
and needs no lock.
"""

from collections import Counter
from collections.abc import Collection
from typing import Final

from .active_logins import that_count
from .errors import LoginEnded
from .interface import Transaction
from .models import ActingLogin, Moment, Seen

_LOCK: Final = "UPDATE users SET epoch = epoch WHERE id = $1 RETURNING id"
_LOCK_OWNER: Final = (
    "UPDATE users SET epoch = epoch WHERE id = (SELECT user_id FROM logins WHERE id_hash = $1) RETURNING id"
)

_LOCK_SOME: Final = (
    "UPDATE users SET epoch = epoch WHERE id IN"
    " (SELECT user_id FROM logins WHERE user_id >= $1 AND user_id <= $2) RETURNING id"
)
_STILL_COUNTS: Final = that_count("l.id_hash = $1 AND l.user_id = $2", "$3", "$4")


async def lock_for(transaction: Transaction, user_id: str, by: ActingLogin | None) -> None:
    """Lock a user's row, and check that the login on whose behalf it is changed still counts.

    Args:
        transaction: The transaction, in which nothing was done before.
        user_id: Who is changed.
        by: The login that asks; `None` for the operator.

    Raises:
        LoginEnded: It does not count, or is another user's.
    """
    await lock_user(transaction, user_id)
    if by is None:
        return
    at = Moment.present(by.idle)  # only now: the lock may have taken its time
    if by.user_id != user_id or not await transaction.run(_STILL_COUNTS, by.id_hash, user_id, *at):
        raise LoginEnded("The login that asks has ended.")


async def lock_user(transaction: Transaction, user_id: str) -> bool:
    """Have everybody else who changes this user or its logins wait until the transaction ends; False without a user."""
    return bool(await transaction.run(_LOCK, user_id))


async def lock_users(transaction: Transaction, first: str, last: str) -> None:
    """Do so for every user with a login whose id lies between these two."""
    await transaction.run(_LOCK_SOME, first, last)


async def lock_owner(transaction: Transaction, id_hash: str) -> bool:
    """Do so for the user of a login, named by the hash of its id; False if there is no such login."""
    return bool(await transaction.run(_LOCK_OWNER, id_hash))


def of_different_users(seen: Collection[Seen]) -> list[list[Seen]]:
    """Divide logins so that each part has one of a user at the most, in one order.

    The users are not locked here: who ends several logins of one could wait for the first while this waits for the
    second.
    """
    parts: list[list[Seen]] = []
    count_of: Counter[str] = Counter()
    for login in sorted(seen, key=lambda login: login.id_hash):
        part = count_of[login.user_id]
        count_of[login.user_id] += 1
        if part == len(parts):
            parts.append([])
        parts[part].append(login)
    return parts
