"""Signing in with a password, and changing it."""
