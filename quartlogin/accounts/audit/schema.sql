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
