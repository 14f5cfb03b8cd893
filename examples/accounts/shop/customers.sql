-- The table of the customers as the shop's earlier version left it: integer ids, and passwords hashed by Werkzeug.
-- Their passwords are "cobol-1959" and "apollo-eleven". Try them:
--     (umask 077; sqlite3 shop.sqlite3 < examples/accounts/shop/customers.sql)

CREATE TABLE customers (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    address VARCHAR NOT NULL UNIQUE,
    nickname VARCHAR NOT NULL,
    blocked BOOLEAN NOT NULL,
    password_hash VARCHAR
);

INSERT INTO customers VALUES
    (1, 'grace@example.org', 'Grace', FALSE, 'scrypt:32768:8:1$fR5HmDUShrl7yACs$34027bd33148850cc7f1a0f9e0d85e5ab77c2b02c977d87409a258277daf16f4281414ba7c2df944607d4ceb25c521d20c794442d0710c24873f3f44a105ebcf'),
    (2, 'margaret@example.org', 'Margaret', FALSE, 'pbkdf2:sha256:600000$lLEt5cUKEcg5ribh$6ac60c671dfc4f95b8aa89972d6a7fb604525921cdc7d0b50afa769d4dd07b93');
