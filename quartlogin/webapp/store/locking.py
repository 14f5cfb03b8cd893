"""In which order rows are locked, so that no two transactions wait for each other.

Whoever ends or changes logins of a user and writes more locks the user's row first. To write an event or a login is to
lock it too, less strictly: nobody can delete the user meanwhile. SQLite has one writer, and needs none of this.
"""

from collections import Counter
from collections.abc import Collection
from typing import Final

from .database import Transaction
from .rows import Seen

_LOCK: Final = "UPDATE users SET epoch = epoch WHERE id = $1 RETURNING id"
_LOCK_OWNER: Final = (
    "UPDATE users SET epoch = epoch WHERE id = (SELECT user_id FROM logins WHERE id_hash = $1) RETURNING id"
)


async def lock_user(transaction: Transaction, user_id: str) -> bool:
    """Have everybody else who changes this user or its logins wait until the transaction ends; False without a user."""
    return bool(await transaction.run(_LOCK, user_id))


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
