"""Databases with the tables of each version."""

import re
from pathlib import Path
from typing import Any

from databases import run_sql
from quartlogin.accounts.database.schema import SCHEMA_VERSION, UPGRADES, creation_script, statements

VERSION_1 = (
    "CREATE TABLE quartlogin_schema (version BIGINT NOT NULL)",
    "INSERT INTO quartlogin_schema (version) VALUES (1)",
    "CREATE TABLE users (id TEXT NOT NULL PRIMARY KEY, username TEXT NOT NULL, username_key TEXT NOT NULL UNIQUE,"
    " password_hash TEXT NOT NULL, is_active BOOLEAN NOT NULL DEFAULT TRUE, created_at BIGINT NOT NULL,"
    " password_changed_at BIGINT NOT NULL)",
    "INSERT INTO users VALUES ('1', 'Alice', 'alice', 'hash', TRUE, 5, 5)",
)

#: The version that created every table anew.
CREATED_ANEW = 7
#: What each later version has changed in `schema.sql`, as it is and as it was before; the comments are part of it.
TAKE_BACK = {
    8: [
        (re.compile(r"browser TEXT NOT NULL,( +-- .*\n) +proofs .*\n(?=\);)"), r"browser TEXT NOT NULL\1"),
        (re.compile(r"CREATE TABLE quartlogin_pending_sign_ins(.*\n)+?(?=\nCREATE TABLE)"), ""),
    ],
}
ALICE = (
    "INSERT INTO quartlogin_users VALUES ('1', 'Alice', 'alice', 5)",
    "INSERT INTO quartlogin_accounts (user_id, created_at) VALUES ('1', 5)",
    "INSERT INTO quartlogin_passwords VALUES ('1', 'hash', 5, NULL)",
)


def columns(database: str) -> set[Any]:
    """Every column of every table, with its type and whether it may be empty; and every index."""
    if database.startswith("postgresql://"):
        return {
            *run_sql(
                database,
                "SELECT table_name, column_name, data_type, is_nullable, column_default"
                " FROM information_schema.columns WHERE table_schema = 'public'",
            ),
            *run_sql(database, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"),
        }
    tables = run_sql(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
    questions = {table: f"SELECT * FROM pragma_table_info('{table}')" for (table,) in tables}
    found = {(table, *row[1:]) for table, question in questions.items() for row in run_sql(database, question)}
    return found | set(run_sql(database, "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"))


def touch(database: str) -> None:
    if not database.startswith("postgresql://"):
        Path(database).touch(0o600)  # as every release makes it


def make_version_1(database: str) -> None:
    touch(database)
    for statement in VERSION_1:
        run_sql(database, statement)


def make_version(version: int, database: str) -> None:
    if version < CREATED_ANEW:
        make_version_1(database)
        script = [statement for step in range(2, version + 1) for statement in statements(UPGRADES[step])]
    else:
        touch(database)
        text = creation_script()
        for step in range(SCHEMA_VERSION, version, -1):
            for present, former in TAKE_BACK[step]:
                text, count = present.subn(former, text)
                assert count == 1
        script = [*statements(text), *ALICE]
    for statement in script:
        run_sql(database, statement)
    run_sql(database, f"UPDATE quartlogin_schema SET version = {version}")


def drop_everything(database: str) -> None:
    ours = ("logins", "events", "passwords", "pending_sign_ins", "accounts", "users", "registrations")
    for table in (*ours, "attempt_counters", "schema"):
        run_sql(database, f"DROP TABLE quartlogin_{table}")
