CREATE TABLE quartlogin_passwords (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    password_hash TEXT,                -- argon2id, in PHC string format; NULL: the password was removed
    changed_at BIGINT NOT NULL,
    expires_at BIGINT                  -- no one signs in with it from then on; NULL: never
);
