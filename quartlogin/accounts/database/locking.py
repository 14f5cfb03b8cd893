"""Row locks: every transaction of more than one statement locks the account's row first.

- No two transactions deadlock.
- PostgreSQL shows each statement what was committed before it began (READ COMMITTED), so two statements of one
  transaction may see two states. After the lock they see one: any other change of this account waits, or is committed.
- A change on behalf of a login is checked where it is written: the login must be active after the lock, and hold the
  proofs that its request requires. A guard checks earlier, before the body of the request has arrived.

Writing an event locks the row too, less strictly: the user cannot be deleted meanwhile. SQLite has one writer and needs
no lock.
"""

import time
from collections import Counter
from collections.abc import Collection
from typing import Final

from .active_logins import is_active_sql
from .errors import LoginEnded, ReauthenticationRequired
from .interface import Transaction
from .models import ActingLogin, Moment, Seen

_LOCK: Final = "UPDATE quartlogin_accounts SET security_stamp = security_stamp WHERE user_id = $1 RETURNING user_id"
_LOCK_OWNER: Final = (
    "UPDATE quartlogin_accounts SET security_stamp = security_stamp"
    " WHERE user_id = (SELECT user_id FROM quartlogin_logins WHERE id_hash = $1) RETURNING user_id"
)

_LOCK_SOME: Final = (
    "UPDATE quartlogin_accounts SET security_stamp = security_stamp WHERE user_id IN"
    " (SELECT user_id FROM quartlogin_logins WHERE user_id >= $1 AND user_id <= $2) RETURNING user_id"
)
_FIND_ACTING: Final = (
    "SELECT l.proofs FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"  # noqa: S608 -- constants
    f" WHERE l.id_hash = $1 AND l.user_id = $2 AND {is_active_sql('$3', '$4')}"
)


async def lock_for(transaction: Transaction, user_id: str, by: ActingLogin | None) -> str:
    """Lock an account's row, and check that the login on whose behalf it is changed is still active.

    Args:
        transaction: The transaction, in which nothing was done before.
        user_id: The user whose account is to be changed.
        by: The login that requests the change; `None` for the operator.

    Returns:
        What was proved in that login, as `Proofs` writes it.

    Raises:
        LoginEnded: It is not active, or is another user's.
        ReauthenticationRequired: It does not hold what its request requires, such as a password entered recently.
    """
    await lock_account(transaction, user_id)
    if by is None:
        return ""
    at = Moment.present(by.idle)  # only now: waiting for the lock may have taken time
    found = await transaction.run(_FIND_ACTING, by.id_hash, user_id, *at)
    if by.user_id != user_id or not found:
        raise LoginEnded("The login that requests this has ended.")
    proofs = str(found[0][0])
    for requirement in by.requirements:
        if not requirement.is_met(proofs, time.time()):
            raise ReauthenticationRequired(requirement)
    return proofs


async def lock_account(transaction: Transaction, user_id: str) -> bool:
    """Lock an account's row until the transaction ends; return False if there is no such account."""
    return bool(await transaction.run(_LOCK, user_id))


async def lock_accounts(transaction: Transaction, first: str, last: str) -> None:
    """Lock the row of every account with a login whose user id lies between these two."""
    await transaction.run(_LOCK_SOME, first, last)


async def lock_owner(transaction: Transaction, id_hash: str) -> bool:
    """Lock the row of a login's account, by the hash of the login's id; return False if there is no such login."""
    return bool(await transaction.run(_LOCK_OWNER, id_hash))


def of_different_users(seen: Collection[Seen]) -> list[list[Seen]]:
    """Split logins into groups with at most one login of each user, in a fixed order.

    The users are not locked here: a transaction that ends several logins of one user could wait for the first while
    this one waits for the second.
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
