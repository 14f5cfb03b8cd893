"""The session cookie: signing, reading, and the login in it."""
