"""The schema version: an empty database gets the tables, an older one is upgraded, a newer one is rejected."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from ..paths import find_resource
from .errors import DatabaseRefused
from .interface import Transaction

#: The version of `schema.sql`, and of this code.
SCHEMA_VERSION: Final = 8

#: The table that marks a database as ours.
_OURS: Final = "quartlogin_schema"
_HOW_TO_CREATE: Final = "Create or upgrade them with `quartlogin accounts init-db`, or without `create_tables=False`."
#: The first letters of the names of our tables.
_PREFIX: Final = "quartlogin_"

#: The upgrade from each version to the next, except the one that created every table anew. Together they create what
#: `schema.sql` creates in an empty database.
UPGRADES: Final = {
    2: """
ALTER TABLE users ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN copied_at BIGINT;
CREATE TABLE logins (
    id_hash TEXT NOT NULL PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    name TEXT,
    secrets TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL
);
CREATE INDEX logins_of_user ON logins (user_id);
CREATE INDEX logins_by_end ON logins (expires_at);
CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    happened_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    subject TEXT
);
CREATE INDEX events_of_user ON events (user_id, happened_at);
CREATE INDEX events_by_time ON events (happened_at);
""",
    3: """
CREATE TABLE attempts (
    name TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    times TEXT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX attempts_by_time ON attempts (last_at);
""",
    4: """
ALTER TABLE users ADD COLUMN must_change_password BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN password_expires_at BIGINT;
""",
    5: """
ALTER TABLE logins ADD COLUMN resumed_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX events_of_user;
CREATE INDEX events_of_user ON events (user_id, happened_at, id);
CREATE INDEX events_of_kind ON events (user_id, kind, id);
""",
    6: """
UPDATE events SET kind = CASE kind
    WHEN 'came_back' THEN 'login_resumed'
    WHEN 'login_copied' THEN 'token_reuse_detected'
    WHEN 'login_crowded_out' THEN 'login_evicted'
    WHEN 'everyone_signed_out' THEN 'all_logins_revoked'
END WHERE kind IN ('came_back', 'login_copied', 'login_crowded_out', 'everyone_signed_out');
""",
    # What was proved in the logins before is not known: their users enter the password at the next sensitive action.
    8: """
ALTER TABLE quartlogin_logins ADD COLUMN proofs TEXT NOT NULL DEFAULT '';
CREATE TABLE quartlogin_pending_sign_ins (
    id_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    security_stamp BIGINT NOT NULL,
    feature TEXT NOT NULL,
    done TEXT NOT NULL,
    is_remembered BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX quartlogin_pending_sign_ins_user ON quartlogin_pending_sign_ins (user_id);
CREATE INDEX quartlogin_pending_sign_ins_expiry ON quartlogin_pending_sign_ins (expires_at);
""",
}

#: The upgrade to version 7, which created every table anew: the table of users became three, all names got a prefix.
_CREATED_ANEW: Final = 7
#: Fills the tables of this code's version from the old ones, and drops those.
_MOVE: Final = """
INSERT INTO quartlogin_users (id, username, username_key, created_at)
    SELECT id, username, username_key, created_at FROM users;
INSERT INTO quartlogin_accounts
    (user_id, security_stamp, created_at, disabled_at, must_change_password, token_reuse_at)
    SELECT id, epoch, created_at, CASE WHEN is_active THEN NULL ELSE password_changed_at END, must_change_password,
        copied_at FROM users;
INSERT INTO quartlogin_passwords (user_id, password_hash, changed_at, expires_at)
    SELECT id, password_hash, password_changed_at, password_expires_at FROM users;
INSERT INTO quartlogin_logins (id_hash, public_id, user_id, kind, security_stamp, name, secrets, made_at, resumed_at,
        seen_at, expires_at, address, browser)
    SELECT id_hash, ref, user_id, kind, epoch, name, secrets, made_at, resumed_at, seen_at, expires_at, address, browser
        FROM logins;
INSERT INTO quartlogin_events (id, kind, user_id, happened_at, address, browser, subject)
    SELECT id, kind, user_id, happened_at, address, browser, subject FROM events;
INSERT INTO quartlogin_attempt_counters (name, number, times, last_at)
    SELECT name, number, times, last_at FROM attempts;
DROP TABLE logins;
DROP TABLE events;
DROP TABLE attempts;
DROP TABLE users;
"""
_SET_VERSION: Final = f"UPDATE quartlogin_schema SET version = {SCHEMA_VERSION} WHERE version < {SCHEMA_VERSION};\n"  # noqa: S608 -- constants


async def prepare(
    transaction: Transaction,
    tables: set[str],
    label: str,
    *,
    create_tables: bool = True,
    is_shared: bool = False,
) -> None:
    """Bring the tables to this code's version, in a transaction that runs alone.

    Args:
        transaction: The caller rolls it back if this raises.
        tables: The names of the database's tables.
        label: The database's name for messages.
        create_tables: Whether to create or upgrade the tables; otherwise they must be there.
        is_shared: Whether the database may contain the tables of an app.

    Raises:
        DatabaseRefused: The tables are another program's or of a newer version; or missing or of an older version, and
            not to be created.
    """
    if _OURS not in tables:
        _check_room(tables, label, is_shared=is_shared)
        if not create_tables:
            raise DatabaseRefused(f"The database {label} has no tables of quartlogin. {_HOW_TO_CREATE}")
        await _run(transaction, creation_script())
        return
    [(version,)] = await transaction.run(f"SELECT max(version) FROM {_OURS}")  # noqa: S608 -- a constant
    if version is None:
        raise DatabaseRefused(f"The database {label} has an empty table {_OURS!r}: drop it, or restore a backup.")
    if not 1 <= version <= SCHEMA_VERSION:
        raise DatabaseRefused(
            f"The database {label} has tables of version {version}, and this release of quartlogin uses version "
            f"{SCHEMA_VERSION}. Use the release that created it."
        )
    if version < SCHEMA_VERSION and not create_tables:
        raise DatabaseRefused(f"The database {label} has tables of version {version}. {_HOW_TO_CREATE}")
    await _run(transaction, upgrade_script(version))


def creation_script() -> str:
    """Return the statements that create the tables."""
    return find_resource("schema.sql").read_text(encoding="utf-8")


def upgrade_script(version: int) -> str:
    """Return the statements that upgrade the tables of a version to this code's."""
    if version < _CREATED_ANEW:
        steps = [UPGRADES[step] for step in range(version + 1, _CREATED_ANEW)]
        steps += ["DROP TABLE quartlogin_schema;\n", creation_script(), _MOVE]
    else:
        steps = [UPGRADES[step] for step in range(version + 1, SCHEMA_VERSION + 1)]
    return "".join(steps) + _SET_VERSION


def _check_room(tables: set[str], label: str, *, is_shared: bool) -> None:
    """Refuse a database that is another program's, or in which another program uses our names."""
    if tables and not is_shared:
        raise DatabaseRefused(f"The database {label} belongs to another program. Use a new one.")
    if clashes := sorted(table for table in tables if table.lower().startswith(_PREFIX)):
        raise DatabaseRefused(
            f"The database {label} has a table {clashes[0]!r}, but not {_OURS!r}. Names that begin with {_PREFIX!r} "
            "are for the tables of the accounts: rename it, or use another database."
        )


async def _run(transaction: Transaction, script: str) -> None:
    for statement in statements(script):
        await transaction.run(statement)


def statements(script: str) -> Iterator[str]:
    """Split a script into statements."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def without_comments(script: str) -> str:
    """Return a script without comments and empty lines: no statement of ours has `--` in a text."""
    lines = (line.partition("--")[0].rstrip() for line in script.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
