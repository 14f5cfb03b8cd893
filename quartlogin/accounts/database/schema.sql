-- The tables of quartlogin.accounts, for SQLite and for PostgreSQL. Their names begin with quartlogin_, so that they can
-- share a database with an app's own tables; none of them refers to a table of the app.
-- Times are whole seconds since 1970 (UTC); hashes of ids and of secrets are SHA-256 in hex.

CREATE TABLE quartlogin_schema (
    version BIGINT NOT NULL,
    users_table TEXT                   -- whose accounts these are; NULL: not known yet
);

INSERT INTO quartlogin_schema (version) VALUES (8);
