"""Accounts for Quart apps: registering, signing in, passwords, logins and API tokens."""
