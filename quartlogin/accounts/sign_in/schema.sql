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
