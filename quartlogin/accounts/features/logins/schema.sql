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
