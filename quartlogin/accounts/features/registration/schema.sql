-- Registrations that have begun: the app creates the user in a separate transaction.
CREATE TABLE quartlogin_registrations (
    username_key TEXT NOT NULL PRIMARY KEY,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
