CREATE TABLE quartlogin_attempt_counters (
    name TEXT NOT NULL PRIMARY KEY,    -- whose: user:, holders:, name:, browser:, login: or address:
    number BIGINT NOT NULL,            -- failures in a row; of an address, how often it ran into its limit
    times TEXT NOT NULL,               -- of the last ones
    last_at BIGINT NOT NULL            -- the last of them
);

CREATE INDEX quartlogin_attempt_counters_time ON quartlogin_attempt_counters (last_at);
