"""The condition under which a login counts, written once.

Not counting is absorbing: a login that has once not counted never counts again. So every statement that prolongs logins
or takes them along changes only rows for which this holds at that moment.
"""


def counts(now: str, idle_since: str) -> str:
    """Return the condition on a row `l` of logins and its row `u` of users.

    Args:
        now: The number of the value, such as `$1`, that is the time: a login that expires before counts no more.
        idle_since: Of the time since which a sign-in must have been seen.
    """
    lasts = f"l.expires_at > {now} AND (l.kind = 'bearer' OR l.seen_at > {idle_since})"
    return f"u.is_active AND l.epoch = u.epoch AND {lasts}"


def that_count(which: str, now: str, idle_since: str) -> str:
    """Return a subquery: the hashes of the logins that count among some.

    A statement that changes logins by it sees the account as it was when the statement began. Where that matters, the
    account's row is locked before.

    Args:
        which: The condition that selects them.
        now: As for `counts`.
        idle_since: As for `counts`.
    """
    return (
        "SELECT l.id_hash FROM logins l JOIN users u ON u.id = l.user_id"  # noqa: S608 -- constants and numbers only
        f" WHERE {which} AND {counts(now, idle_since)}"
    )
