-- The users table of both apps. Run it once: psql "$DATABASE_URL" -f examples/accounts/two_apps/members.sql

CREATE SCHEMA team;

CREATE TABLE team.members (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    joined_at timestamptz NOT NULL DEFAULT now()
);
