CREATE TABLE quartlogin_code_words (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES quartlogin_accounts (user_id) ON DELETE CASCADE,
    word TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
