-- The tables of the quartlogin application, for SQLite and for PostgreSQL.
-- Ids are text made by the application; times are whole seconds since 1970 (UTC); hashes are SHA-256 in hex.

CREATE TABLE quartlogin_schema (
    version BIGINT NOT NULL
);

INSERT INTO quartlogin_schema (version) VALUES (6);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,            -- as typed, for showing
    username_key TEXT NOT NULL UNIQUE, -- normalised, for finding: case, width and composition do not count
    password_hash TEXT NOT NULL,       -- argon2id, in PHC string format
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,   -- one more each time that every login ends at once
    copied_at BIGINT,                  -- when a copied remember cookie was noticed, until the user has been told
    must_change_password BOOLEAN NOT NULL DEFAULT FALSE, -- nothing else can be done before
    password_expires_at BIGINT         -- nobody signs in with it from then on; NULL: never
);

CREATE TABLE logins (
    id_hash TEXT NOT NULL PRIMARY KEY, -- of the login id, which only the cookie or the token has
    ref TEXT NOT NULL UNIQUE,          -- its name on pages and on the command line; opens nothing
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                -- session or bearer
    epoch BIGINT NOT NULL,             -- the user's when it began: counts only while they are equal
    name TEXT,                         -- what the user calls a token
    secrets TEXT NOT NULL,             -- of its remember cookie: hashes of those that count, and of those just replaced
    made_at BIGINT NOT NULL,
    resumed_at BIGINT NOT NULL DEFAULT 0, -- when a return by its remember cookie was last written down
    seen_at BIGINT NOT NULL,           -- at most a minute behind; 0 for a token that was not used yet
    expires_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL              -- what the browser called itself, cut
);

CREATE INDEX logins_of_user ON logins (user_id);
CREATE INDEX logins_by_end ON logins (expires_at);

CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE, -- NULL: nobody whom the application knows
    happened_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    subject TEXT                       -- the ref of the login or the name of the token that it is about
);

CREATE INDEX events_of_user ON events (user_id, happened_at, id);
CREATE INDEX events_of_kind ON events (user_id, kind, id);
CREATE INDEX events_by_time ON events (happened_at);

CREATE TABLE attempts (
    name TEXT NOT NULL PRIMARY KEY,    -- whose: user:, holders:, name:, browser:, login: or address:
    number BIGINT NOT NULL,            -- failures in a row; of an address, how often it ran into its limit
    times TEXT NOT NULL,               -- when the last ones were
    last_at BIGINT NOT NULL            -- the last of them
);

CREATE INDEX attempts_by_time ON attempts (last_at);
