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
