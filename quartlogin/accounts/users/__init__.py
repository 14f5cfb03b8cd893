"""The users: an app's own, or those of the accounts' table."""
