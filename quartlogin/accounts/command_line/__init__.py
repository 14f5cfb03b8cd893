"""The commands that manage accounts, and their shared parts."""
