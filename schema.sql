-- The tables of the quartlogin application, for SQLite and for PostgreSQL.
-- Ids are text made by the application; times are whole seconds since 1970 (UTC).

CREATE TABLE quartlogin_schema (
    version BIGINT NOT NULL
);

INSERT INTO quartlogin_schema (version) VALUES (1);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,            -- as typed, for showing
    username_key TEXT NOT NULL UNIQUE, -- normalised, for finding: case, width and composition do not count
    password_hash TEXT NOT NULL,       -- argon2id, in PHC string format
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL
);
