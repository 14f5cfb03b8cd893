-- The tables of quartlogin.accounts, for SQLite and for PostgreSQL. Their names begin with quartlogin_, so that they can
-- share a database with an app's own tables; none of them refers to a table of the app.
-- Times are whole seconds since 1970 (UTC); hashes of ids and of secrets are SHA-256 in hex.

CREATE TABLE quartlogin_schema (
    version BIGINT NOT NULL,
    users_table TEXT                   -- whose accounts these are; NULL: not known yet
);

INSERT INTO quartlogin_schema (version) VALUES (8);

-- The users of an app without a users table.
CREATE TABLE quartlogin_users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,            -- as typed, for display
    username_key TEXT NOT NULL UNIQUE, -- normalized, for lookup: case, width and composition do not matter
    created_at BIGINT NOT NULL
);

-- What is kept about each user, whosever table the user is in. Every change of an account locks its row here.
CREATE TABLE quartlogin_accounts (
    user_id TEXT NOT NULL PRIMARY KEY, -- the user's get_id()
    stamp TEXT,                        -- the app's word for this user's creation: another stamp means another person
    security_stamp BIGINT NOT NULL DEFAULT 0, -- incremented each time that every login ends at once
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,                -- NULL: enabled
    deleting_at BIGINT,                -- when a deletion began that is not complete
    must_change_password BOOLEAN NOT NULL DEFAULT FALSE, -- before anything else
    token_reuse_at BIGINT              -- when remember-me token reuse was detected, until the user is notified
);

CREATE TABLE quartlogin_passwords (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    password_hash TEXT,                -- argon2id, in PHC string format; NULL: the password was removed
    changed_at BIGINT NOT NULL,
    expires_at BIGINT                  -- no one signs in with it from then on; NULL: never
);

CREATE TABLE quartlogin_logins (
    id_hash TEXT NOT NULL PRIMARY KEY, -- of the login id, which only the cookie or the token has
    public_id TEXT NOT NULL UNIQUE,    -- its name on pages and on the command line; grants nothing
    user_id TEXT NOT NULL REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                -- session or bearer
    security_stamp BIGINT NOT NULL,    -- the account's when it began: active only while they are equal
    name TEXT,                         -- of an API token
    secrets TEXT NOT NULL,             -- of its remember cookie: hashes of the valid ones and of those just replaced
    made_at BIGINT NOT NULL,
    resumed_at BIGINT NOT NULL DEFAULT 0, -- when a return by remember cookie was last recorded
    seen_at BIGINT NOT NULL,           -- at most a minute behind; 0 for a token that was never used
    expires_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,             -- the user agent, shortened
    proofs TEXT NOT NULL DEFAULT ''    -- what was proved in it and when: password:1764278400
);

CREATE INDEX quartlogin_logins_user ON quartlogin_logins (user_id);
CREATE INDEX quartlogin_logins_expiry ON quartlogin_logins (expires_at);

-- Registrations that have begun: the app creates the user in a separate transaction.
CREATE TABLE quartlogin_registrations (
    username_key TEXT NOT NULL PRIMARY KEY,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Sign-ins whose password was correct, and which wait for one more step; they last for minutes.
CREATE TABLE quartlogin_pending_sign_ins (
    id_hash TEXT NOT NULL PRIMARY KEY, -- of the id, which only the browser's session has
    user_id TEXT NOT NULL REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    security_stamp BIGINT NOT NULL,    -- the account's when the password was checked: valid only while they are equal
    feature TEXT NOT NULL,             -- whose step it waits for
    done TEXT NOT NULL,                -- the features whose steps are completed
    is_remembered BOOLEAN NOT NULL,    -- whether the login is to outlive the session
    expires_at BIGINT NOT NULL
);

CREATE INDEX quartlogin_pending_sign_ins_user ON quartlogin_pending_sign_ins (user_id);
CREATE INDEX quartlogin_pending_sign_ins_expiry ON quartlogin_pending_sign_ins (expires_at);

CREATE TABLE quartlogin_events (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    user_id TEXT REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE, -- NULL: no known user
    happened_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    subject TEXT                       -- the public id of the login, or the name of the token, that it is about
);

CREATE INDEX quartlogin_events_user ON quartlogin_events (user_id, happened_at, id);
CREATE INDEX quartlogin_events_kind ON quartlogin_events (user_id, kind, id);
CREATE INDEX quartlogin_events_time ON quartlogin_events (happened_at);

CREATE TABLE quartlogin_attempt_counters (
    name TEXT NOT NULL PRIMARY KEY,    -- whose: user:, holders:, name:, browser:, login: or address:
    number BIGINT NOT NULL,            -- failures in a row; of an address, how often it ran into its limit
    times TEXT NOT NULL,               -- of the last ones
    last_at BIGINT NOT NULL            -- the last of them
);

CREATE INDEX quartlogin_attempt_counters_time ON quartlogin_attempt_counters (last_at);
