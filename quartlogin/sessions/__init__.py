"""The session cookie: how it is signed and read, and what quartlogin keeps in it."""
