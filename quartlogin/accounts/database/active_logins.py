"""The condition for an active login, written once.

Being inactive is final: a login that has been inactive once is never active again. So every statement that extends
logins or moves them to a new security stamp changes only rows that satisfy the condition at that moment.
"""


def is_active_sql(now: str, idle_since: str) -> str:
    """Return the condition on a row `l` of logins and the row `a` of its account.

    Args:
        now: The placeholder of the current time, such as `$1`: a login that expires earlier is not active.
        idle_since: The placeholder of the time since which a sign-in must have been seen.
    """
    lasts = f"l.expires_at > {now} AND (l.kind = 'bearer' OR l.seen_at > {idle_since})"
    return f"a.disabled_at IS NULL AND a.deleting_at IS NULL AND l.security_stamp = a.security_stamp AND {lasts}"


def select_active(which: str, now: str, idle_since: str) -> str:
    """Return a subquery: the hashes of the active logins among some.

    A statement that changes logins by it sees the account as it was when the statement began. Where that matters, lock
    the account's row first.

    Args:
        which: The condition that selects them.
        now: As for `is_active_sql`.
        idle_since: As for `is_active_sql`.
    """
    return (
        "SELECT l.id_hash FROM quartlogin_logins l JOIN quartlogin_accounts a ON a.user_id = l.user_id"  # noqa: S608 -- constants and numbers only
        f" WHERE {which} AND {is_active_sql(now, idle_since)}"
    )
